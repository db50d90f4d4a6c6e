"""A server whose kernels are built beside its traffic: no request fails, and torch stays in engines."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from model.native.library import BuildSettings, build_library, choose_level
from tests.builders import tiny_bundle, tiny_info
from tests.model.native.kernels import CACHE
from tests.model.native.small_library import pretended_compiler
from tests.server_process import PATIENCE, Server, children_of, serve

TEXTS = ["Ba de fi.", "Go hu ba de.", "Fi fi go ba hu de."]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder / "tiny", info=tiny_info(name="tiny-en-de"))
    return folder


@contextmanager
def server(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, compiler: str, *options: str
) -> Iterator[Server]:
    for name, value in {"KERNELS": "auto", "CACHE_DIR": str(cache), "CXX": compiler}.items():
        monkeypatch.setenv(f"VERTO_{name}", value)
    with serve("--models-dir", str(models_dir), "--num-threads", "1", *options) as running:
        yield running


def a_slow_compiler(folder: Path, release: Path) -> str:
    """It waits for the file `release`, and then hands out what was built elsewhere."""
    built = build_library(BuildSettings(cache_dir=CACHE), choose_level()).path
    wait = f"while [ ! -e {release} ]; do sleep 0.05; done"
    return pretended_compiler(folder / "cc", f'{wait}; for last; do :; done; cp {built} "$last"')


def translate(url: str, **options: object) -> list[str]:
    answer = httpx.post(f"{url}/v1/translate", json={"text": TEXTS, **options}, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return [one["text"] for one in answer.json()["translations"]]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def path_of(url: str) -> str:
    (model,) = httpx.get(f"{url}/v1/models", timeout=PATIENCE).json()["data"]
    return str(model["path"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["process", "thread"])
def test_traffic_goes_on_through_the_building_and_the_change(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    release, answers, stop = tmp_path / "release", list[list[str]](), threading.Event()
    compiler = a_slow_compiler(tmp_path, release)
    with server(models_dir, monkeypatch, tmp_path / "cache", compiler, "--engine", engine) as running:
        url = str(running.wait_for_line("ready")["url"])
        assert path_of(url) == "eager"
        expected = translate(url)

        def ask() -> None:
            while not stop.is_set():
                answers.append(translate(url, strategy="beam"))

        users = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
        for user in users:
            user.start()
        release.touch()
        try:
            wait_until(lambda: path_of(url) == "native")
            seen = len(answers)
            wait_until(lambda: len(answers) >= seen + 10)
        finally:
            stop.set()
        for user in users:
            user.join(PATIENCE)
        assert 'path="native"' in httpx.get(f"{url}/metrics", timeout=PATIENCE).text
        assert translate(url) == expected
        assert answers.count(answers[0]) == len(answers)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    assert [line for line in running.lines if "Traceback" in line] == []


@pytest.mark.slow
def test_a_compiler_that_fails_is_said_and_the_server_goes_on_without(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = pretended_compiler(tmp_path / "cc", "echo 'error: no luck' >&2; exit 1")
    with server(models_dir, monkeypatch, tmp_path / "cache", compiler) as running:
        url = str(running.wait_for_line("ready")["url"])
        wait_until(lambda: any("without them" in line and "no luck" in line for line in running.lines))
        assert path_of(url) == "eager"
        assert translate(url)


def test_native_kernels_that_cannot_be_had_are_one_line_with_the_way_out(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(models_dir, monkeypatch, tmp_path, "no-such-compiler", "--kernels", "native") as running:
        assert running.end() == 2
    (line,) = [line for line in running.lines if not line.startswith("{")]
    assert line.startswith("verto: kernels must be auto or eager here, got 'native': ")
    assert "is not a program" in line


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_the_process_that_answers_never_loads_torch(models_dir: Path) -> None:
    with serve("--models-dir", str(models_dir), "--num-threads", "1") as running:
        url = str(running.wait_for_line("ready")["url"])
        assert translate(url, **{"return": ["attention", "alignment", "tokens", "scores"]})
        (engine,) = children_of(running.process.pid)
        assert "libtorch" in Path(f"/proc/{engine}/maps").read_text()
        assert "libtorch" not in Path(f"/proc/{running.process.pid}/maps").read_text()
