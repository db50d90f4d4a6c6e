"""From a bundle to an engine that takes work, in either backing."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from model.bundle_head import load_bundle_head
from model.checkpoint import BundleError
from service import engine_start
from service.engine.observer import SilentObserver
from service.engine_start import start_engine
from service.settings import Settings
from service.started_engine import StartedEngine
from tests.builders import tiny_bundle
from tests.server_process import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_bundle(tmp_path / "tiny")
    return tmp_path / "tiny"


def started(folder: Path, backing: Literal["process", "thread"]) -> StartedEngine:
    settings = Settings(engine=backing, num_threads=1, max_rows=40, cache_bytes_limit=3_000_000)
    starting = start_engine(folder, settings, SilentObserver())
    try:
        return starting.finish()
    finally:
        starting.close()


def test_both_backings_say_the_same_of_a_model_and_keep_the_same_limits(folder: Path) -> None:
    process, thread = started(folder, "process"), started(folder, "thread")
    assert (process.dtype, process.device) == (thread.dtype, thread.device) == ("float32", "cpu")
    assert dataclasses.replace(process.head, tokenizer=thread.head.tokenizer) == thread.head
    assert process.head.tokenizer.files() == thread.head.tokenizer.files()
    for one in (process, thread):
        assert one.load_seconds > 0
        assert (one.engine.snapshot().max_rows, one.engine.snapshot().cache_bytes_limit) == (40, 3_000_000)


def test_a_process_that_has_read_another_bundle_than_its_parent_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(load_bundle_head(folder), manifest_digest="of another one")
    monkeypatch.setattr(engine_start, "load_bundle_head", lambda _: other)
    with pytest.raises(BundleError, match="was changed while it was being loaded"):
        started(folder, "process")


def test_what_is_wrong_with_the_weights_is_said_by_the_process_that_reads_them(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(BundleError, match="bytes where manifest") as caught:
        started(folder, "process")
    assert caught.value.path == folder / "model.safetensors"


def test_a_process_whose_parent_is_gone_already_does_not_start() -> None:
    code = "from service.engine.parent_death import end_with_parent; end_with_parent(1 << 30)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 1
