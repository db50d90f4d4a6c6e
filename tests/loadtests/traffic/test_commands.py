"""`verto loadtest` from its command line to its files, against a server that answers at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Verto, verto
from tests.loadtests.traffic.fake_server import FakeServer, running

__all__ = ["verto"]  # the fixture


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(pause_seconds=0.001)


OPEN_ONLY = ["--users", "", "--bursts", "", "--warm-up-seconds", "0.1", "--seconds", "0.5", "--rounds", "2"]


def test_a_run_writes_what_it_saw(verto: Verto, server: FakeServer, tmp_path: Path) -> None:
    with running(server):
        ended = verto(
            "loadtest", "run", "--url", server.url, "--rates", "40", "--header", "X-Key: 5", *OPEN_ONLY,
            "--results", tmp_path, "--name", "a",
        )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "All requests" in ended.text
    content = json.loads((tmp_path / "a.json").read_text())
    figures = content["figures"]["40/s"]["all"]
    assert 10 < figures["asked"] == figures["done"] < 80
    assert "X-Key" not in json.dumps(content)
    assert all("X-Key: 5" in head for head in server.headers)
    assert {body["source"] for body in server.bodies} == {"en"}


def test_a_run_can_be_repeated_like_another(verto: Verto, server: FakeServer, tmp_path: Path) -> None:
    results = ["--results", tmp_path]
    with running(server):
        first = ["loadtest", "run", "--url", server.url, "--rates", "30", *OPEN_ONLY, "--traffic", "batch"]
        assert verto(*first, *results, "--name", "a").code == 0
        bodies = list(server.bodies)
        server.bodies.clear()
        again = ["loadtest", "run", "--url", server.url, "--like", tmp_path / "a.json", "--name", "b"]
        assert verto(*again, *results).code == 0
    texts = [json.dumps(body["text"]) for body in bodies]
    assert sorted(texts) == sorted(json.dumps(body["text"]) for body in server.bodies)


@pytest.mark.parametrize("command", ["run", "saturate"])
def test_a_server_that_is_not_there_leaves_no_folder(verto: Verto, tmp_path: Path, command: str) -> None:
    asked = ("loadtest", command, "--url", "http://127.0.0.1:9", "--results")
    assert verto(*asked, tmp_path / "runs" / "loadtest").code == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    assert verto(*asked, tmp_path / "mine").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "http://127.0.0.1:9"], "http://127.0.0.1:9 cannot be reached"),
        (["--url", "nonsense"], "--url: 'nonsense' is no address"),
        (["--rates", "0"], "--rates: must be above 0, got 0"),
        (
            ["--traffic", "everything"],
            "traffic: unknown kind 'everything'; use translate, batch, stream, mixed",
        ),
        (["--like", "nowhere.json"], "nowhere.json: No such file or directory"),
        (
            ["--url", "http://h", "--serve-options", "--port 1"],
            "--serve-options are for a server that is started",
        ),
        (["--name", "a/b"], "--name: 'a/b' is no name of a file; the folder is --results"),
        (["--results", "Makefile"], "Makefile: File exists"),
        (["--serve-options", "'"], '--serve-options: "\'" is no command line'),
    ],
    ids=str,
)
def test_a_slip_is_one_line_and_code_2(verto: Verto, options: list[str], words: str) -> None:
    ended = verto("loadtest", "run", *options)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert words in ended.err
    assert ended.err.startswith("verto: ")


def test_a_server_that_answers_nothing_well_is_not_measured(verto: Verto, tmp_path: Path) -> None:
    with running(FakeServer(lambda number, body: "500")) as server:
        ended = verto("loadtest", "run", "--url", server.url, "--results", tmp_path)
    assert ended.code == 2
    assert "none of 48 requests was answered well (status 500); see its log" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_goes_away_leaves_a_report_of_what_was_seen(
    verto: Verto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loadtests.traffic import run
    from loadtests.traffic.faults import LoadTestError

    made = run.window

    def window(on: run.Bench, plan: run.Plan, level: run.Level, number: int) -> run.Window:
        if number == 1:
            raise LoadTestError("the server is gone")
        return made(on, plan, level, number)

    monkeypatch.setattr(run, "window", window)
    with running(FakeServer()) as server:
        options = ["--url", server.url, "--rates", "40", *OPEN_ONLY, "--results", tmp_path, "--name", "a"]
        ended = verto("loadtest", "run", *options)
    assert ended.code == 1
    assert "Stopped before its end: the server is gone" in ended.text
    assert len(json.loads((tmp_path / "a.json").read_text())["windows"]) == 1


def test_a_server_that_is_another_afterwards_is_told(verto: Verto, tmp_path: Path) -> None:
    server = FakeServer(metrics_status=404)

    def behaviour(number: int, body: object) -> str:
        server.models_status = 404
        return "well"

    server.behaviour = behaviour
    with running(server):
        options = ["--url", server.url, "--rates", "40", *OPEN_ONLY, "--results", tmp_path, "--name", "a"]
        ended = verto("loadtest", "run", *options)
    assert ended.code == 0, ended.err
    notes = json.loads((tmp_path / "a.json").read_text())["notes"]
    assert notes[0].startswith("The server changed during the run. Before: fake f. After: http://127.0.0.1:")
    assert notes[1].startswith("No metrics of the server:")


def test_without_load_tests_the_command_says_where_they_are(
    verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    from cli.loadtest import LoadTestsMissing, check_installed

    with pytest.raises(LoadTestsMissing, match="a serving image has none"):
        check_installed()


def test_without_locust_users_are_told_apart_from_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    from loadtests.traffic.faults import LoadTestError
    from loadtests.traffic.locust_window import check_locust

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LoadTestError, match=r"root of the clone: pip install '\.\[loadtest\]'"):
        check_locust()
