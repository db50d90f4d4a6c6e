"""`verto models status|load|reload|unload` against a server on a real port, over pretended engines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.responses import RedirectResponse

from cli import main as shell
from service.app import create_app
from service.engine.network_plan import PlanError
from service.hosting.budget import Budget
from service.hosting.bundle_folders import MemoryNeed
from service.settings import Settings
from tests.end_to_end.live_server import live_server
from tests.service.hosting.pretended import Pretended, pretended

KEY = "a-key-of-at-least-16"


@dataclass
class Desk:
    """Where commands are typed; `verto` answers with exit code, output and errors."""

    stage: Pretended
    url: str
    verto: Callable[..., tuple[int, str, str]]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("VERTO_ADMIN_KEY", KEY)
    stage = pretended("en-de", "en-fr", budget=Budget(400))
    settings = Settings(admin_key=SecretStr(KEY))
    app = create_app(None, settings, metrics=stage.metrics, lifecycle=stage.lifecycle)

    def verto(*arguments: str, server: str | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["verto", "models", *arguments, "--server", server or live.url])
        with pytest.raises(SystemExit) as ended:
            shell.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    with live_server(app) as live:
        yield Desk(stage, live.url, verto)


def test_models_are_loaded_swapped_reloaded_and_unloaded(desk: Desk) -> None:
    folders = desk.stage.folders
    folders.put("third", "en-it", "7")
    folders.put("second", "en-de", "2")
    assert desk.verto("load", "third") == (0, "en-it 7 (third): serving\n", "")
    assert desk.verto("unload", "en-it") == (0, "en-it: gone\n", "")
    assert desk.verto("load", "second", "--swap", "beside") == (0, "en-de 2 (second): serving\n", "")
    folders.put("second", "en-de", "3")
    assert desk.verto("reload", "en-de", "--swap", "unload_first") == (0, "en-de 3 (second): serving\n", "")
    code, out, _ = desk.verto("unload", "en-fr", "--no-wait")
    assert (code, out) == (0, "en-fr 1 (en-fr): draining\n")
    assert desk.stage.names() == ["en-de"]


def test_the_status_is_a_table_with_remarks_or_the_answer_as_it_is(desk: Desk) -> None:
    desk.stage.folders.put("third", "en-it", "7")
    code, out, _ = desk.verto("status")
    assert code == 0
    (row,) = [line for line in out.splitlines() if "en-fr" in line]
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:4] == ["en-fr", "1", "en-fr", "serving"]
    assert cells[5:7] == ["eager on cpu", "0 MB"]
    assert out.splitlines()[-2:] == ["memory: 0 MB of 0 MB for more models", "not served: third"]
    code, out, _ = desk.verto("status", "--json")
    assert [one["name"] for one in json.loads(out)["data"]] == ["en-de", "en-fr"]


def test_the_key_may_come_from_a_file(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VERTO_ADMIN_KEY")
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    assert desk.verto("status", "--admin-key-file", str(file))[0] == 0
    file.write_text("a-wrong-key-of-16")
    code, _, err = desk.verto("status", "--admin-key-file", str(file))
    assert (code, err) == (2, "verto: The admin key is wrong\n")
    file.write_bytes(b"a-key-in-latin-1-\xe9")
    code, _, err = desk.verto("status", "--admin-key-file", str(file))
    assert (code, err) == (2, f"verto: {file}: must be UTF-8 text that is an admin key\n")
    file.write_text("a-key-of-at-least-é", encoding="utf-8")
    code, _, err = desk.verto("status", "--admin-key-file", str(file))
    bound = "must be 16 to 256 visible ASCII characters without a space, got a secret of 19 characters"
    assert (code, err) == (2, f"verto: {file}: {bound}\n")
    missing = desk.verto("status", "--admin-key-file", str(tmp_path / "none"))[2]
    assert missing.endswith("No such file or directory\n")
    code, _, err = desk.verto("status")
    assert (code, err.startswith("verto: an admin key is needed: in VERTO_ADMIN_KEY")) == (2, True)


REFUSED = [
    (
        ("load", "../x"),
        "There is no such bundle; folder: the name of a bundle's folder in the models' folder: ",
    ),
    (("load", "en-de"), "en-de 1 is served; say in `swap` how it is to be replaced; swap: "),
    (("load", "en-de", "--swap", "now"), "swap must be one of"),
    (("reload", "en-it"), "No model of this name is served; name: one of en-de, en-fr, got 'en-it'"),
    (("unload", "a/../b"), "a model's name has letters, digits"),
    (("load", "huge"), "en-it 1 needs 1,000 MB"),
]


@pytest.mark.parametrize(("arguments", "told"), REFUSED, ids=lambda value: str(value)[:20])
def test_what_the_server_refuses_is_one_line_and_exit_code_2(
    desk: Desk, arguments: tuple[str, ...], told: str
) -> None:
    desk.stage.folders.put("huge", "en-it", "1", MemoryNeed(1_000_000_000, 0, 0))
    code, out, err = desk.verto(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"verto: {told}")
    assert err.count("\n") == 1


def test_a_change_that_fails_is_exit_code_1_with_the_reason(desk: Desk) -> None:
    desk.stage.folders.put("third", "en-it", "7")
    desk.stage.failures["third"] = PlanError("precision must be float32 or bfloat16 here")
    code, out, err = desk.verto("load", "third")
    assert (code, out, err) == (1, "", "verto: precision must be float32 or bfloat16 here\n")
    code, out, _ = desk.verto("status")
    assert "precision must be float32 or bfloat16 here" in out


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 does not answer ([Errno 111] Connection refused); "),
        ("127.0.0.1:8000", "--server must be an address as http://127.0.0.1:8000, got '127.0.0.1:8000'"),
        ("ftp://example.org", "--server must be an address"),
        ("http://[::1", "--server must be an address"),
        ("http://127.0.0.1:99999", "--server must be an address"),
    ],
)
def test_a_server_that_is_not_there_is_told_with_its_address(desk: Desk, server: str, told: str) -> None:
    code, _, err = desk.verto("status", server=server)
    assert code == 2
    assert err.startswith(f"verto: {told}")


def test_a_server_without_a_key_or_of_another_kind_is_told_apart(desk: Desk) -> None:
    plain = create_app(None, Settings(admin_key=SecretStr("")), lifecycle=desk.stage.lifecycle)
    with live_server(plain) as other:
        code, _, err = desk.verto("status", server=other.url)
        assert (code, err) == (2, f"verto: {other.url} has no admin API; start it with VERTO_ADMIN_KEY set\n")
        code, _, err = desk.verto("status", server=f"{other.url}/health/live")
        assert code == 2


@pytest.mark.parametrize("arguments", [("status",), ("load", "x"), ("reload", "x"), ("unload", "x")])
@pytest.mark.parametrize("answer", [{"ok": True}, ["a"], {"data": []}], ids=["object", "list", "data"])
def test_another_server_that_answers_with_json_is_told(
    desk: Desk, arguments: tuple[str, ...], answer: object
) -> None:
    other = FastAPI()
    other.add_api_route("/{path:path}", lambda: answer, methods=["GET", "POST", "DELETE"])
    with live_server(other) as server:
        code, out, err = desk.verto(*arguments, server=server.url)
    told = f"verto: {server.url} does not answer as Verto does; is --server right?\n"
    assert (code, out, err) == (2, "", told)


def test_the_key_goes_to_no_other_server(desk: Desk) -> None:
    away = FastAPI()

    @away.get("/v1/admin/models")
    async def redirect() -> RedirectResponse:
        return RedirectResponse(f"{desk.url}/v1/admin/models?to=another")

    with live_server(away) as server:
        code, _, err = desk.verto("status", server=server.url)
    assert code == 2
    assert err == f"verto: {server.url} answers with status 307 and not as Verto does\n"


def test_the_folder_on_disk_is_no_option_of_a_running_server(desk: Desk, tmp_path: Path) -> None:
    code, _, err = desk.verto("--models-dir", str(tmp_path), "status")
    assert code == 2
    assert "a running server has a folder of its own" in err
