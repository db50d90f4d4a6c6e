"""The Makefile says what it can do, and passes on what it is told."""

import os
import re
import signal

import pytest

from tests.scripts.conftest import ROOT, Checkout

# Ends some time after it was told to, as a server that finishes what it has accepted.
_SERVER = """#!/bin/sh
trap 'sleep 0.3; echo drained; exit 0' INT TERM
echo ready
while :; do sleep 0.05; done
"""


def test_help_lists_every_target(checkout: Checkout) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    listed = re.findall(r"^  make (\w+)  +\S", checkout.make("help").stdout, re.MULTILINE)
    assert sorted(listed) == sorted(phony[1].split())


def test_help_is_what_make_alone_shows(checkout: Checkout) -> None:
    assert checkout.make().stdout == checkout.make("help").stdout
    assert checkout.installs() == []


def test_host_and_port_are_left_to_the_settings(checkout: Checkout) -> None:
    planned = checkout.make("-n", "serve").stdout
    assert planned.splitlines()[-1].split() == ["exec", ".venv/bin/verto", "serve"]


def test_host_and_port_can_be_chosen(checkout: Checkout) -> None:
    planned = checkout.make("-n", "serve", "HOST=0.0.0.0", "PORT=9000").stdout
    assert "verto serve --host 0.0.0.0 --port 9000" in planned


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_a_signal_reaches_the_server_and_make_waits_for_it(checkout: Checkout, signal_name: str) -> None:
    checkout.make("serve", check=False)
    server = checkout.folder / ".venv" / "bin" / "verto"
    server.write_text(_SERVER, encoding="utf-8")
    server.chmod(0o755)
    with checkout.start("serve") as make:
        assert make.stdout
        assert make.stdout.readline() == "ready\n"
        # A terminal's Ctrl-C goes to the whole group; a supervisor's SIGTERM to make alone.
        if signal_name == "SIGINT":
            os.killpg(make.pid, signal.SIGINT)
        else:
            make.terminate()
        assert make.stdout.read() == "drained\n"


def test_the_whole_suite_runs_on_every_processor(checkout: Checkout) -> None:
    assert checkout.make("test").stdout.splitlines()[-1] == "ran: -m pytest -n auto"


def test_a_part_of_the_tests_can_be_chosen(checkout: Checkout) -> None:
    assert "ran: -m pytest tests/model -k name" in checkout.make("test", "ARGS=tests/model -k name").stdout


def test_check_runs_every_tool(checkout: Checkout) -> None:
    ran = re.findall(r"^ran: -m (.*)$", checkout.make("check").stdout, re.MULTILINE)
    assert ran == ["ruff check .", "ruff format --check .", "mypy", "pytest tests/contracts/test_imports.py"]


def test_the_image_is_built_with_the_labels_of_this_folder(checkout: Checkout) -> None:
    words = checkout.make("-n", "image", "VARIANT=cuda").stdout.split()
    assert words[:4] == ["docker", "build", "--tag", "verto:0.1.0"]
    assert {"VARIANT=cuda", "VERSION=0.1.0", "REVISION=unknown", "TORCH_INDEX_URL="} < set(words)
    assert words[-1] == "."


def test_another_engine_keeps_the_health_check(checkout: Checkout) -> None:
    words = checkout.make("-n", "image", "ENGINE=podman", "ARGS=--no-cache").stdout.split()
    assert words[:4] == ["podman", "build", "--format", "docker"]
    assert words[-2:] == ["--no-cache", "."]
