"""A plan becomes a network, native where it can be; where it may go without, it does, and says so."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint import load_bundle
from model.decoding import DecodingOptions
from model.decoding.search import decode_batch
from model.devices import DeviceError
from model.native.library import NativeUnavailable
from model.network import Network
from service.engine import kernel_build, network_start
from service.engine.network_plan import NetworkPlan, PlanError
from service.engine.network_start import StartedNetwork, start_network
from service.engine.weight_memory import native_bytes_per_position
from service.log import JsonFormatter
from tests.builders import tiny_bundle
from tests.model.native.kernels import CACHE, library_of
from tests.model.native.small_library import pretended_compiler
from tests.server_process import PATIENCE, ROOT, wait_until_gone

PRECISIONS = ("float32", "bfloat16", "int8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    tiny_bundle(folder)
    return folder


def start(folder: Path, **plan: Any) -> StartedNetwork:
    return start_network(folder, NetworkPlan(**{"cache_dir": CACHE, **plan}), 1, 1 << 30, 64)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kind(network: Network) -> tuple[str, str]:
    return network.path, network.precision


@pytest.mark.parametrize("precision", PRECISIONS)
def test_eager_never_looks_for_kernels(folder: Path, precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_start, "open_library", None)
    started = start(folder, kernels="eager", precision=precision)
    assert kind(started.network) == ("eager", precision)
    assert started.make_faster is None
    assert started.manifest_digest == load_bundle(folder).manifest_digest
    assert started.bytes_per_position == started.network.bytes_per_position


@pytest.mark.parametrize("kernels", ["auto", "native"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_kernels_that_are_there_are_taken_at_once(folder: Path, kernels: Any, precision: Any) -> None:
    library_of_this_processor()
    started = start(folder, kernels=kernels, precision=precision)
    assert kind(started.network) == ("native", precision)
    assert started.make_faster is None
    assert started.network.bytes_per_position <= started.bytes_per_position


def library_of_this_processor() -> None:
    library_of(network_start.open_library(build_settings()).level.name)


def build_settings() -> Any:
    return network_start.BuildSettings(cache_dir=CACHE)


def test_without_them_it_begins_eagerly_and_has_them_built_beside(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        started = start(folder, kernels="auto", cache_dir=tmp_path / "new", precision="int8")
    assert kind(started.network) == ("eager", "int8")
    assert "beginning without the native kernels" in caplog.text
    assert "have not been built yet" in caplog.text
    assert started.make_faster is not None
    faster = started.make_faster()
    assert kind(faster) == ("native", "int8")
    assert max(faster.bytes_per_position, started.network.bytes_per_position) <= started.bytes_per_position
    again = start(folder, kernels="auto", cache_dir=tmp_path / "new", precision="int8")
    assert kind(again.network) == ("native", "int8")
    # A process that is started again may find what the first had to go without; it is the same model.
    assert again.bytes_per_position == started.bytes_per_position


def test_native_builds_them_first(folder: Path, tmp_path: Path) -> None:
    assert kind(start(folder, kernels="native", cache_dir=tmp_path).network) == ("native", "float32")


@pytest.mark.parametrize("compiler", ["no-such-compiler", "failing"])
def test_kernels_that_cannot_be_built_are_refused_only_where_they_must_be_there(
    folder: Path, tmp_path: Path, compiler: str
) -> None:
    if compiler == "failing":
        compiler = pretended_compiler(tmp_path / "cc", "echo error: broken >&2; exit 1")
    plan = {"cache_dir": tmp_path, "compiler": compiler}
    with pytest.raises(
        PlanError, match=r"kernels must be auto or eager here, got 'native': the kernels of level"
    ):
        start(folder, kernels="native", **plan)
    started = start(folder, kernels="auto", **plan)
    assert started.network.path == "eager"
    assert started.make_faster is not None
    with pytest.raises(NativeUnavailable, match=r"is not a program|error: broken"):
        started.make_faster()


def test_a_damaged_cache_is_said_and_built_anew_beside_the_traffic(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start(folder, kernels="native", cache_dir=tmp_path)
    (path,) = (tmp_path / "native").glob("*.so")
    damaged = tmp_path / "damaged"  # put in its place, since this process has the whole one mapped
    damaged.write_bytes(path.read_bytes()[:1000])
    damaged.replace(path)
    started = start(folder, kernels="auto", cache_dir=tmp_path)
    assert started.network.path == "eager"
    assert "its SHA-256 is not the one in" in caplog.text
    assert started.make_faster is not None
    assert started.make_faster().path == "native"


def test_a_model_that_the_kernels_refuse_runs_without_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not this one")

    library_of_this_processor()
    monkeypatch.setattr(network_start.NativeNetwork, "from_model", refuse)
    assert start(folder, kernels="auto").network.path == "eager"
    assert "do not run this model; it runs without them: not this one" in caplog.text
    with pytest.raises(PlanError, match="not this one"):
        start(folder, kernels="native")


def test_a_bundle_that_has_changed_meanwhile_is_not_changed_over_to(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "tiny")
    started = start(tmp_path / "tiny", kernels="auto", cache_dir=tmp_path)
    tiny_bundle(tmp_path / "tiny", seed=9)
    assert started.make_faster is not None
    with pytest.raises(NativeUnavailable, match="was changed after it had been loaded"):
        started.make_faster()


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"precision": "int8"}, "precision must be float32, bfloat16 or float16 on cuda, got 'int8'"),
        ({"kernels": "native"}, "kernels must be auto or eager on cuda, got 'native'"),
    ],
)
def test_what_a_gpu_does_not_have_is_refused(plan: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        NetworkPlan(**plan).check("cuda")
    NetworkPlan(**plan).check("cpu")


def test_the_log_says_kernels_precision_and_threads_and_keeps_its_own_fields(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library_of_this_processor()
    with caplog.at_level(logging.INFO):
        start(folder, kernels="native", precision="int8")
    (told,) = [record for record in caplog.records if record.message == "native kernels"]
    fields = json.loads(JsonFormatter().format(told))
    assert fields["level"] == "info"
    assert (fields["precision"], fields["threads"], fields["path"]) == ("int8", 1, "native")
    assert fields["kernels"] == network_start.open_library(build_settings()).level.name


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(DeviceError, match="cpu and 0 GPUs, got 'cuda:1'"):
        start(folder, device="cuda:1")


def test_too_little_memory_is_refused_before_anything_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.engine.weight_memory.available_memory", lambda: 1000)
    monkeypatch.setattr(network_start, "load_bundle", None)
    with pytest.raises(PlanError, match="MB are free"):
        start(folder)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError("unable to mmap 9 bytes from file <x>:\nCannot allocate memory (12)"),
            r"mmap 9 bytes .* \(12\)",
        ),
        (MemoryError(), "out of memory"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_memory_that_runs_out_while_loading_is_said_with_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str, precision: Any
) -> None:
    def run_out(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(network_start, "int8_copy" if precision == "int8" else "load_bundle", run_out)
    with pytest.raises(PlanError, match=rf"tiny: could not be loaded: .*{words}; give it more memory"):
        start(folder, kernels="eager", precision=precision)


def test_another_failure_while_loading_stays_what_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(network_start, "load_bundle", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        start(folder)


def test_the_builder_gives_way_and_ends_with_who_started_it(tmp_path: Path) -> None:
    report = tmp_path / "nice"
    compiler = pretended_compiler(tmp_path / "cc", f"ps -o ni= -p $$ > {report}; exit 1")
    with pytest.raises(NativeUnavailable, match="failed with status 1"):
        kernel_build.build_in_background(tmp_path / "cache", compiler)
    assert int(report.read_text()) == min(19, os.nice(0) + kernel_build.NICENESS)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_with_who_started_it_the_builder_ends_and_the_compiler_and_what_that_runs(tmp_path: Path) -> None:
    pid, cache = tmp_path / "pid", tmp_path / "cache"
    script = (
        f'for last; do :; done; echo half > "$last"; sleep 60 & echo $! > {pid}.new; mv {pid}.new {pid}; wait'
    )
    compiler = pretended_compiler(tmp_path / "cc", script)
    code = (
        "import signal, sys; from pathlib import Path; from service.engine import kernel_build as build;"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM});"  # as an engine's process is born
        "build.build_in_background(Path(sys.argv[1]), sys.argv[2])"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(cache), compiler], cwd=ROOT) as starter:
        wait_until(pid.exists)
        starter.kill()
    wait_until_gone(int(pid.read_text()))
    wait_until(lambda: [path.suffix for path in (cache / "native").iterdir()] == [".lock"])


def test_native_kernels_are_compiled_by_another_process_too(folder: Path, tmp_path: Path) -> None:
    """This one may be killed while it waits, and would leave a compiler behind."""
    report = tmp_path / "builder"
    script = f"ps -o ppid= -p $$ > {report}; exit 1"
    compiler = pretended_compiler(tmp_path / "cc", script)
    with pytest.raises(PlanError, match="failed with status 1"):
        start(folder, kernels="native", cache_dir=tmp_path, compiler=compiler)
    assert int(report.read_text()) != os.getpid()


def test_a_library_that_vanishes_before_it_is_opened_is_waited_for_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another process is just giving its own the name: for a moment no digest fits."""
    library_of_this_processor()
    started = start(folder, kernels="auto", cache_dir=tmp_path)
    library = network_start.open_library(build_settings())
    monkeypatch.setattr(network_start, "build_in_background", lambda *_: None)
    answers = [NativeUnavailable("its SHA-256 is not the one"), library]

    def open_one(*_: object, **__: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(network_start, "open_library", open_one)
    assert started.make_faster is not None
    assert started.make_faster().path == "native"


def test_a_builder_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(NativeUnavailable, match="the builder does not start: Resource temporarily"):
        kernel_build.build_in_background(tmp_path, "")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("options", [DecodingOptions(strategy="greedy"), DecodingOptions(beam_size=4)])
@torch.inference_mode()
def test_the_shipped_model_says_the_same_before_and_after_a_change(precision: Any, options: Any) -> None:
    library_of_this_processor()
    folder = ROOT / "checkpoints" / "en-de"
    tokenizer = load_bundle(folder, dtype=None).tokenizer
    # None with two answers as likely ("wie geht es dir", "wie geht es Ihnen"): 8 bits round either way.
    texts = ["Good morning, my friend.", "Tom has three children.", "The train leaves at nine o'clock."]
    sources = [tokenizer.encode_source(text) for text in texts]
    answers = [
        [best.token_ids for best, *_ in decode_batch(network, sources, options)]
        for network in (start(folder, kernels=k, precision=precision).network for k in ("eager", "native"))
    ]
    assert answers[0] == answers[1]


def test_what_is_reserved_is_what_the_native_network_takes(folder: Path) -> None:
    library_of_this_processor()
    network = start(folder, kernels="native").network
    assert network.bytes_per_position == native_bytes_per_position(network.config)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_elsewhere_than_on_a_processor_steps_are_computed_ahead(folder: Path, precision: Any) -> None:
    plan = NetworkPlan(precision=precision, kernels="auto")
    started = network_start._ahead(folder, plan, torch.device("cpu"), 32)  # the same code, without a GPU
    assert kind(started.network) == ("direct", precision)
    assert started.bytes_per_position == started.network.bytes_per_position
    assert started.manifest_digest == load_bundle(folder).manifest_digest
    if precision == "float32":
        sources, options = [(5, 9, 7, 3), (8, 3)], DecodingOptions()
        expected = decode_batch(load_bundle(folder).model, sources, options)
        found = decode_batch(started.network, sources, options, max_rows=32)
        assert [one[0].token_ids for one in found] == [one[0].token_ids for one in expected]


def test_half_precision_without_a_gpu_is_refused(folder: Path) -> None:
    with pytest.raises(PlanError, match="on cpu, got 'float16'; float16 is for --device cuda"):
        start(folder, precision="float16")


def test_a_bundle_that_is_gone_meanwhile_is_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_bundle(tmp_path / "tiny")
    started = start(tmp_path / "tiny", kernels="auto", cache_dir=tmp_path)
    shutil.rmtree(tmp_path / "tiny")
    monkeypatch.setattr(network_start, "build_in_background", lambda *_: None)
    monkeypatch.setattr(network_start, "_open", lambda *_, **__: None)  # it is not asked for anything
    assert started.make_faster is not None
    with pytest.raises(NativeUnavailable, match=r"^.*tiny: .*"):
        started.make_faster()
