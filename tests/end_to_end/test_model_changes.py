"""Models that change under load, with real engines in processes of their own: nobody notices."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import tiny_bundle, tiny_info
from tests.end_to_end.busy_clients import Answers, ask, busy_clients
from tests.server_process import PATIENCE, Server, children_of, is_alive, serve

KEY = "a-key-for-the-tests"
TEXT = "Ba de fi go. Hu ka le mi? No pu sä tö wü."
BODIES: list[dict[str, Any]] = [
    {"text": TEXT, "source": "en"},
    {"text": TEXT * 4, "source": "en", "strategy": "greedy", "stream": True},
    {"text": TEXT * 2, "source": "en", "stream": True, "beam_size": 6},
    {"text": TEXT, "source": "en", "banned": ["zzz"], "strategy": "greedy"},
    {"text": "Ba de fi.", "source": "en", "prefix": "Ba", "alternatives": 3},
]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of one model, which translate differently, and another model."""
    root = tmp_path_factory.mktemp("bundles")
    for seed, version in enumerate(("one", "two")):
        tiny_bundle(root / version, seed=seed, info=tiny_info(name="en-de", version=version))
    tiny_bundle(root / "back", seed=2, info=tiny_info(name="de-en", directions=(("de", "en"),)))
    return root


@pytest.fixture
def models_dir(bundles: Path, tmp_path: Path) -> Path:
    shutil.copytree(bundles / "one", tmp_path / "models" / "en-de")
    return tmp_path / "models"


@pytest.fixture
def server(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, str]]:
    monkeypatch.setenv("VERTO_ADMIN_KEY", KEY)
    with serve("--models-dir", str(models_dir), "--num-threads", "1") as server:
        yield server, str(server.wait_for_line("ready")["url"])


def admin(url: str, method: str, path: str, **body: str) -> httpx.Response:
    return httpx.request(
        method,
        f"{url}/v1/admin/models{path}",
        headers={"Authorization": f"Bearer {KEY}"},
        json=body or None,
        timeout=PATIENCE,
    )


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_answers(answers: Answers, more: int) -> None:
    enough = answers.count + more
    wait_until(lambda: answers.count >= enough or answers.faults)


def put(bundle: Path, folder: Path) -> None:
    """As operators should: written beside, then renamed."""
    beside = folder.with_name(f".{folder.name}.new")
    shutil.copytree(bundle, beside)
    if folder.exists():
        shutil.rmtree(folder)
    beside.rename(folder)


def translations(url: str) -> dict[str, str]:
    with httpx.Client(timeout=PATIENCE) as client:
        return {json.dumps(body): ask(client, url, body) for body in BODIES}


@pytest.mark.slow
def test_no_request_fails_while_models_are_swapped_loaded_and_unloaded_under_load(
    server: tuple[Server, str], bundles: Path, models_dir: Path
) -> None:
    process, url = server
    put(bundles / "two", models_dir / "second")
    put(bundles / "back", models_dir / "back")
    old = translations(url)
    with busy_clients(url, BODIES, 5) as answers:
        wait_for_answers(answers, 10)
        for folder in ("second", "en-de", "second"):
            answer = admin(url, "POST", "?wait=true", folder=folder, swap="beside")
            assert (answer.status_code, answer.json()["state"]) == (200, "serving"), answer.text
            wait_for_answers(answers, 5)
        assert admin(url, "POST", "?wait=true", folder="back").status_code == 200
        assert admin(url, "POST", "/en-de/reload?wait=true").status_code == 200
        wait_for_answers(answers, 5)
        assert admin(url, "DELETE", "/de-en?wait=true").status_code == 204
        wait_for_answers(answers, 5)
    new = translations(url)
    assert answers.faults == []
    assert old != new
    for body in BODIES:
        wanted = {old[json.dumps(body)], new[json.dumps(body)]}
        assert answers.texts[json.dumps(body)] <= wanted, "one model answers the whole of a request"
    wait_until(lambda: len(children_of(process.process.pid)) == 1)
    told = httpx.get(url + "/metrics", timeout=PATIENCE).text
    assert 'verto_model_changes_total{change="swap",model="en-de",outcome="done"} 4.0' in told
    assert 'version="two"' in told
    assert 'version="one"' not in told
    assert 'verto_model_info{device="cpu",dtype="float32",model="de-en"' not in told


@pytest.mark.slow
def test_a_swap_that_fails_under_load_is_not_noticed_by_anybody(
    server: tuple[Server, str], bundles: Path, models_dir: Path
) -> None:
    process, url = server
    put(bundles / "two", models_dir / "broken")
    weights = models_dir / "broken" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    old = translations(url)
    with busy_clients(url, BODIES, 3) as answers:
        wait_for_answers(answers, 3)
        answer = admin(url, "POST", "?wait=true", folder="broken", swap="beside")
        assert (answer.status_code, answer.json()["code"]) == (422, "bundle_invalid")
        assert answer.json()["detail"].startswith("broken/model.safetensors: its SHA-256 is not")
        wait_for_answers(answers, 3)
    assert answers.faults == []
    assert all(texts == {old[body]} for body, texts in answers.texts.items())
    states = [(one["state"], one.get("reason")) for one in admin(url, "GET", "/en-de").json()["data"]]
    assert states == [("serving", None), ("failed", answer.json()["detail"])]
    wait_until(lambda: len(children_of(process.process.pid)) == 1)


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_while_it_loads_a_model_stops_and_leaves_no_process(
    server: tuple[Server, str], bundles: Path, models_dir: Path
) -> None:
    process, url = server
    put(bundles / "back", models_dir / "back")
    assert admin(url, "POST", "", folder="back").status_code == 202
    wait_until(lambda: len(children_of(process.process.pid)) == 2)
    children = children_of(process.process.pid)
    process.process.terminate()
    assert process.end() == 0
    assert not [line for line in process.lines if "Traceback" in line]
    wait_until(lambda: not any(map(is_alive, children)))


@pytest.mark.slow
def test_a_watched_folder_is_served_as_it_changes_and_no_request_fails(
    bundles: Path, models_dir: Path
) -> None:
    arguments = ["--models-dir", str(models_dir), "--num-threads", "1", "--watch-seconds", "0.2"]
    with serve(*arguments) as process:
        url = str(process.wait_for_line("ready")["url"])
        assert served(url) == {"en-de": "one"}
        with busy_clients(url, BODIES, 3) as answers:
            wait_for_answers(answers, 3)
            put(bundles / "two", models_dir / "en-de")
            wait_until(lambda: served(url) == {"en-de": "two"})
            copy_slowly(bundles / "back", models_dir / "back")
            wait_until(lambda: served(url) == {"de-en": "1", "en-de": "two"})
            shutil.rmtree(models_dir / "back")
            wait_until(lambda: served(url) == {"en-de": "two"})
            shutil.rmtree(models_dir / "en-de")
            wait_for_answers(answers, 3)
        assert served(url) == {"en-de": "two"}
        process.process.terminate()
        assert process.end() == 0
    assert answers.faults == []
    changes = [json.loads(line) for line in process.lines if '"model change failed"' in line]
    assert changes == []


def served(url: str) -> dict[str, str]:
    """Versions by name."""
    models = httpx.get(url + "/v1/models", timeout=PATIENCE).json()["data"]
    return {model["id"]: model["version"] for model in models}


def copy_slowly(bundle: Path, folder: Path) -> None:
    """As operators should not: file by file, under the name that is looked at."""
    folder.mkdir()
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        for part in (content[:1000], content):
            (folder / path.name).write_bytes(part)
            time.sleep(0.15)
