"""Every command of docs/model-lifecycle.md runs as it stands there, and its tables are complete."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr

from service.admin_routes import router
from service.app import create_app
from service.hosting.instances import State
from service.settings import Settings
from tests.end_to_end.live_server import live_server
from tests.service.hosting.pretended import pretended
from tests.service.test_errors import every_error

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "model-lifecycle.md").read_text(encoding="utf-8")
KEY = "a-key-of-at-least-16"
ADDRESS = "http://127.0.0.1:8000"


def commands() -> list[str]:
    """The lines of every shell block."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def rows(first_column: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    lines = PAGE.split(f"\n| {first_column} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def environment(folder: Path) -> dict[str, str]:
    """`verto` is found, and the key is where the page says."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "verto"
    python, root = shlex.quote(sys.executable), shlex.quote(str(ROOT))
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {python} -m cli.main "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "VERTO_ADMIN_KEY": KEY, "no_proxy": "127.0.0.1"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    stage = pretended("en-de")
    stage.folders.put("en-fr", "en-fr")
    stage.folders.put("en-de-2", "en-de", "2")
    (tmp_path / "new" / "en-fr").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    app = create_app(
        None, Settings(admin_key=SecretStr(KEY)), metrics=stage.metrics, lifecycle=stage.lifecycle
    )
    with live_server(app) as server:
        lines = [line.replace(ADDRESS, server.url) for line in commands()]
        lines = [f"{line} --server {server.url}" if line.startswith("verto") else line for line in lines]
        lines = [line.replace("curl -s", "curl -s --fail-with-body") for line in lines]
        script = "\n".join(f"{line} || exit $((64 + {index}))" for index, line in enumerate(lines))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert len(lines) == 12
    assert done.returncode == 0, f"{lines[done.returncode - 64]}\n{done.stdout}\n{done.stderr}"
    assert stage.names() == ["en-de"]
    assert (tmp_path / "models" / "en-fr").is_dir()


def test_the_page_names_every_state() -> None:
    assert [row[0].strip("`") for row in rows("state")] == list(get_args(State))


def test_the_page_names_every_route() -> None:
    named = {row[0].strip("`") for row in rows("request")}
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    there = {f"{method} {route.path}" for route in routes for method in route.methods}
    assert named == there


def test_the_page_names_every_problem_with_its_status() -> None:
    kinds = {kind.code: kind.status for kind in every_error()}
    told = {code: int(row[0]) for row in rows("status") for code in re.findall(r"`(\w+)`", row[1])}
    assert told == {code: kinds[code] for code in told}
    own = {"unauthorized", "model_not_loaded", "change_in_progress", "model_served", "last_model"}
    assert own | {"bundle_invalid", "load_failed", "insufficient_memory"} <= set(told)


def test_the_page_names_every_setting_of_its_own() -> None:
    for name in ("admin_key", "models_bytes_limit", "watch_seconds", "watch_swap"):
        assert f"VERTO_{name.upper()}" in PAGE
        assert name in Settings.model_fields
