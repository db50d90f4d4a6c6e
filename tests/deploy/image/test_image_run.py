"""The image at work: locked down as in a cluster, with limits, stopped, killed, with other bundles."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deploy.image.conftest import ROOT
from tests.deploy.image.containers import Containers
from tests.deploy.image.server import ContainedServer, children_of, served, status_of

pytestmark = [pytest.mark.image, pytest.mark.slow]

LIMITS = ("--memory=3g", "--cpus=1")
# Forty sentences of other words: those that differ in numbers alone would share their computation.
LONG_TEXT = " ".join(
    f"Yesterday an old {who} of mine walked to the {place} by the river."
    for who in ("friend", "teacher", "neighbour", "colleague", "uncle", "cousin", "aunt", "doctor")
    for place in ("market", "church", "station", "garden", "library")
)
TRANSLATION = "Guten Morgen, meine Freunde."


@pytest.fixture(scope="module")
def server(containers: Containers, image: str) -> Iterator[ContainedServer]:
    """One that is ready."""
    health = containers.inspect(image)["Healthcheck"]["Test"][1:]
    with served(containers, image, *LIMITS, health=health) as started:
        started.wait_until_ready()
        yield started


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """A folder of bundles of the user's own, which anybody may read."""
    shutil.copytree(ROOT / "checkpoints" / "en-de", tmp_path / "mine" / "en-de")
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    return tmp_path / "mine"


def mounted(bundles: Path) -> tuple[str, ...]:
    return "--env=VERTO_MODELS_DIR=/models", f"--volume={bundles}:/models:ro"


def test_it_has_no_rights_at_all(server: ContainedServer) -> None:
    status = status_of(server.state["Pid"])
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_it_translates_with_the_kernels_from_its_first_request(server: ContainedServer) -> None:
    assert server.translate("Good morning, my friends.") == TRANSLATION
    metrics = server.get("/metrics")[1]
    info = next(line for line in metrics.splitlines() if line.startswith("verto_model_info{"))
    assert 'path="native"' in info
    assert server.logged("model loaded")["path"] == "native"  # not changed over to later


def test_it_streams(server: ContainedServer) -> None:
    with server.stream("Good morning, my friends.") as events:
        told = list(events)
    assert (told[0][0], told[-1][0]) == ("start", "done")
    assert "".join(data["text"] for name, data in told if name == "delta") == TRANSLATION


def test_its_health_check_is_good(server: ContainedServer) -> None:
    done = server.containers.run_podman("healthcheck", "run", server.container)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a limit of one processor is no limit here")
def test_it_takes_as_many_threads_as_it_may_use_processors(server: ContainedServer) -> None:
    assert server.logged("ready")["threads"] == 1


def test_killed_engines_are_replaced_and_leave_nothing_behind(server: ContainedServer) -> None:
    (main,) = children_of(server.state["Pid"])
    engines = children_of(main)  # one for each model
    for engine in engines:
        os.kill(engine, signal.SIGKILL)
    server.wait_until(lambda: len(children_of(main).keys() - engines) == len(engines), "has no other engines")
    assert server.translate("Good morning, my friends.") == TRANSLATION
    states = children_of(main)
    assert len(states) == len(engines)
    assert "Z" not in states.values()


def test_stop_lets_a_stream_end(containers: Containers, image: str) -> None:
    with served(containers, image, *LIMITS) as server:
        server.wait_until_ready()
        with server.stream(LONG_TEXT) as events, ThreadPoolExecutor() as pool:
            first = next(events)
            stopping = pool.submit(containers.podman, "stop", "--time=90", server.container)
            last = list(events)[-1]
            stopping.result()
        assert (first[0], last[0]) == ("start", "done")
        assert server.logged("draining; a second signal stops at once")["running_requests"] == 1
        assert server.state["ExitCode"] == 0


def test_stop_is_heeded_from_the_first_moment(containers: Containers, image: str) -> None:
    with served(containers, image) as server:
        containers.podman("stop", "--time=30", server.container)
        # 137 would mean that it had to be killed in the end.
        assert server.state["ExitCode"] in (0, 143)


def test_a_bundle_of_ones_own_is_mounted(containers: Containers, image: str, bundles: Path) -> None:
    (bundles / "en-de").rename(bundles / "ours")
    with served(containers, image, *mounted(bundles)) as server:
        server.wait_until_ready()
        assert server.translate("Good morning, my friends.") == TRANSLATION


def test_a_broken_bundle_ends_it_with_one_line(containers: Containers, image: str, bundles: Path) -> None:
    weights = bundles / "en-de" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = containers.once(image, options=mounted(bundles))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("verto: /models/en-de/model.safetensors: ")


def test_too_little_memory_ends_it_with_one_line(containers: Containers, image: str) -> None:
    done = containers.once(image, options=["--memory=320m", "--memory-swap=320m"])
    assert done.returncode == 2
    assert re.match(r"verto: .*(MB are free|memory runs out)", done.stderr.splitlines()[-1])


def test_far_too_little_memory_ends_it_as_the_kernel_does(containers: Containers, image: str) -> None:
    done = containers.once(image, options=["--memory=100m", "--memory-swap=100m"])
    assert done.returncode in (2, 137)  # the engine was killed, or the server itself


def test_a_health_check_of_no_server_is_bad(containers: Containers, image: str) -> None:
    done = containers.once(image, "health", options=["--entrypoint=verto", "--env=VERTO_PORT=1"])
    assert done.returncode == 1
    assert done.stderr.startswith("verto: http://127.0.0.1:1/health/startup: no answer")
