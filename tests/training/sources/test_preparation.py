"""From raw files to corpora: made once, made again when something changed, never half made."""

import errno
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.training.sources.file_server import FileServer
from tests.training.sources.raw import put
from training.errors import ResumeError, SourceError
from training.files import held
from training.sources import preparation
from training.sources.config import Sources
from training.sources.preparation import prepare_sources
from training.sources.raw_files import Places

TRAIN = "".join(f"sentence number {n}\tSatz Nummer {n}\n" for n in range(30))
TEST = "Sentence number 3!\tSatz Nr. 3\n"


class Quiet:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def receiving(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        yield lambda done, total: None


class Kitchen:
    """A recipe folder with a local file, a server with another, and an empty data folder."""

    def __init__(self, server: FileServer, folder: Path) -> None:
        self.server, self.data = server, folder / "data"
        self.places = Places(recipe=folder / "recipe", raw=folder / "raw", data=self.data)
        put(self.places.recipe, {"local.txt": TEST})
        server.files["train.txt"] = TRAIN.encode()
        sha256 = hashlib.sha256(TRAIN.encode()).hexdigest()
        self.files: dict[str, Any] = {
            "train.txt": {"url": server.url("train.txt"), "sha256": sha256},
            "test.txt": {"path": "local.txt"},
        }
        self.corpora: dict[str, Any] = {
            "one": corpus(train=[tsv("train.txt")], held_out={"dev": {"choose": 4, "min_words": 3}}),
            "two": corpus(held_out={"test": {"parts": [tsv("test.txt")]}}),
        }

    def cook(self, **how: Any) -> list[str]:
        """What was said."""
        listener = Quiet()
        sources = Sources.model_validate({"files": self.files, "corpora": self.corpora})
        prepare_sources(sources, self.places, listener, **how)
        return listener.lines

    def lines(self, name: str) -> list[str]:
        return gzip.decompress((self.data / f"{name}.tsv.gz").read_bytes()).decode().splitlines()


def corpus(**fields: Any) -> dict[str, Any]:
    return {"languages": ["en", "de"], "licence": "CC0", "attribution": "nobody", **fields}


def tsv(text: str) -> dict[str, Any]:
    return {"format": "tsv", "text": text}


@pytest.fixture
def kitchen(server: FileServer, tmp_path: Path) -> Kitchen:
    return Kitchen(server, tmp_path)


def test_training_text_holds_nothing_of_any_dev_or_test_text(kitchen: Kitchen) -> None:
    kitchen.cook()
    train, dev, test = kitchen.lines("one/train"), kitchen.lines("one/dev"), kitchen.lines("two/test")
    assert (len(train), len(dev), test) == (25, 4, [TEST.strip()])
    assert not set(train) & set(dev)
    assert "sentence number 3\tSatz Nummer 3" not in train


def test_what_was_counted_is_told_and_noted_with_licence_and_attribution(kitchen: Kitchen) -> None:
    lines = kitchen.cook()
    assert "one/train: 30 pairs read, 25 kept (dropped: held out 5)" in lines
    page = (kitchen.data / "one" / "ORIGIN.md").read_text()
    assert all(word in page for word in ("en, de", "CC0", "nobody", "train: 30 pairs read, 25 kept"))


def test_a_second_time_nothing_is_fetched_or_written(kitchen: Kitchen) -> None:
    kitchen.cook()
    before = {path: path.stat().st_mtime_ns for path in kitchen.data.rglob("*.gz")}
    assert kitchen.cook() == []
    assert {path: path.stat().st_mtime_ns for path in kitchen.data.rglob("*.gz")} == before
    assert len(kitchen.server.requests) == 1


def test_a_changed_recipe_makes_only_the_changed_corpus_again(kitchen: Kitchen) -> None:
    kitchen.cook()
    kitchen.corpora["two"]["attribution"] = "somebody"
    assert kitchen.cook() == ["two/test: 1 pairs read, 1 kept"]


def test_a_test_text_that_grew_is_kept_out_of_training_text_at_once(kitchen: Kitchen) -> None:
    kitchen.cook()
    put(kitchen.places.recipe, {"local.txt": TEST + "sentence number 5\tx\n"})
    assert "one/train: 30 pairs read, 24 kept (dropped: held out 6)" in kitchen.cook()
    assert "dev: 30 pairs read, 4 kept" in (kitchen.data / "one" / "ORIGIN.md").read_text()


def test_a_half_made_corpus_is_made_again(kitchen: Kitchen) -> None:
    kitchen.cook()
    (kitchen.data / "one" / "origin.json").unlink()
    (kitchen.data / "one" / "dev.tsv.gz").unlink()
    assert any(line.startswith("one/train") for line in kitchen.cook())
    for damaged in ("{", "[]", "null"):
        (kitchen.data / "one" / "origin.json").write_text(damaged)
        assert any(line.startswith("one/train") for line in kitchen.cook())


@pytest.mark.parametrize("stage", ["_make_train", "_note"])
def test_a_corpus_whose_making_was_cut_short_is_not_taken_for_one_put_there_by_hand(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(preparation, stage, killed)
        with pytest.raises(KeyboardInterrupt):
            kitchen.cook()
    assert kitchen.lines("two/test") == [TEST.strip()]  # complete, and without its note
    put(kitchen.places.recipe, {"local.txt": "another test text\tx\n"})
    assert not any("by hand" in line for line in kitchen.cook())
    assert kitchen.lines("two/test") == ["another test text\tx"]


def test_what_killed_processes_left_half_written_is_removed(kitchen: Kitchen) -> None:
    left = [kitchen.places.raw / ".test.txt.12.tmp", kitchen.data / "one" / ".train.tsv.gz.345.tmp"]
    others = [kitchen.places.raw / ".notes.txt.12.tmp", kitchen.data / ".train.tsv.gz.345.tmp"]
    for path in (*left, *others):
        put(path.parent, {path.name: "half"})
    kitchen.cook()
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def test_a_corpus_that_was_put_there_by_hand_stays_and_its_test_texts_count(kitchen: Kitchen) -> None:
    put(kitchen.data / "two", {"test.tsv.gz": gzip.compress(b"sentence number 7\tx\n")})
    lines = kitchen.cook()
    assert "two: put there by hand, left as it is" in lines
    assert "sentence number 7\tSatz Nummer 7" not in kitchen.lines("one/train")
    assert kitchen.lines("two/test") == ["sentence number 7\tx"]
    assert any(line.startswith("two/test") for line in kitchen.cook(rebuild=True))


def test_a_folder_with_everything_in_it_is_not_written_to(kitchen: Kitchen) -> None:
    for name in ("one/train", "one/dev", "two/test"):
        put(kitchen.data, {f"{name}.tsv.gz": gzip.compress(b"a\tb\n")})
    before = sorted(kitchen.data.rglob("*"))
    kitchen.cook()
    assert sorted(kitchen.data.rglob("*")) == before
    assert not kitchen.places.raw.exists()


def test_raw_files_that_lie_there_are_checked_and_used(kitchen: Kitchen) -> None:
    put(kitchen.places.raw, {"train.txt": TRAIN})
    kitchen.cook(offline=True)
    assert kitchen.server.requests == []


def test_a_raw_file_that_was_changed_is_refused(kitchen: Kitchen) -> None:
    put(kitchen.places.raw, {"train.txt": TRAIN + "more\tmehr\n"})
    with pytest.raises(
        SourceError, match=r"train\.txt: SHA-256 must be .*, got .*; remove it, and it is fetched again"
    ):
        kitchen.cook()


def test_offline_a_missing_file_is_named_with_its_place_and_address(kitchen: Kitchen) -> None:
    with pytest.raises(SourceError, match=r"raw/train\.txt: is not there, .* by hand, from http"):
        kitchen.cook(offline=True)


def test_a_local_file_that_is_missing_is_named(kitchen: Kitchen) -> None:
    (kitchen.places.recipe / "local.txt").unlink()
    with pytest.raises(
        SourceError, match=r"recipe/local\.txt: is not there; the recipe names it for test.txt"
    ):
        kitchen.cook()


def test_a_disk_without_room_for_a_copy_is_told_with_the_copy(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python names the original, whose disk may have all the room of the world."""

    def full(origin: Path, copy: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(origin), None, str(copy))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        kitchen.cook()
    assert caught.value.filename == str(kitchen.places.raw / "test.txt")


def test_a_local_file_that_was_edited_is_copied_again(kitchen: Kitchen) -> None:
    kitchen.cook()
    put(kitchen.places.recipe, {"local.txt": "edited by hand\tx\n"})
    lines = kitchen.cook()
    said = f"test.txt: copied again, {kitchen.places.recipe / 'local.txt'} has changed"
    assert said in lines
    assert kitchen.lines("two/test") == ["edited by hand\tx"]


def test_of_a_local_file_that_is_gone_the_copy_is_used_and_said(kitchen: Kitchen) -> None:
    kitchen.cook()
    (kitchen.places.recipe / "local.txt").unlink()
    (said,) = kitchen.cook()
    assert said.endswith(f"local.txt: is not there; {kitchen.places.raw / 'test.txt'} is used as it is")


@pytest.mark.parametrize("gone", [False, True], ids=["original", "copy"])
def test_a_local_file_of_another_size_or_checksum_is_refused(kitchen: Kitchen, gone: bool) -> None:
    if gone:
        kitchen.cook()
        (kitchen.places.recipe / "local.txt").unlink()
    kitchen.files["test.txt"]["size"] = 7
    with pytest.raises(SourceError, match=rf"must have 7 bytes, has {len(TEST)};"):
        kitchen.cook()
    kitchen.files["test.txt"] = {"path": "local.txt", "sha256": "0" * 64, "size": len(TEST)}
    with pytest.raises(SourceError, match="SHA-256 must be 0000"):
        kitchen.cook()


def test_a_raw_file_of_another_size_is_refused(kitchen: Kitchen) -> None:
    put(kitchen.places.raw, {"train.txt": TRAIN})
    kitchen.files["train.txt"] = {"url": kitchen.server.url("train.txt"), "size": 7}
    with pytest.raises(SourceError, match=rf"train\.txt: must have 7 bytes, has {len(TRAIN):,};"):
        kitchen.cook()


def test_without_a_checksum_the_first_one_is_noted_and_demanded(kitchen: Kitchen) -> None:
    del kitchen.files["train.txt"]["sha256"]
    assert any("train.txt: the recipe knows no checksum; noted" in line for line in kitchen.cook())
    noted = json.loads((kitchen.places.raw / "checksums.json").read_text())
    assert noted == {"train.txt": hashlib.sha256(TRAIN.encode()).hexdigest()}
    (kitchen.places.raw / "train.txt").unlink()
    kitchen.server.files["train.txt"] = b"another\tfile\n"
    with pytest.raises(SourceError, match="SHA-256 must be"):
        kitchen.cook()


@pytest.mark.parametrize("damaged", ["{", "[]", "[1]", '{"train.txt": 1}'])
def test_damaged_checksums_are_named_with_what_to_do(kitchen: Kitchen, damaged: str) -> None:
    put(kitchen.places.raw, {"checksums.json": damaged})
    with pytest.raises(SourceError, match=r"checksums\.json: not what was written there \(.*\); remove it"):
        kitchen.cook()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"one/dev: must have at least 4 pairs, got 0 \(0 pairs read, .*\); look at the raw files"),
        ("".join(TRAIN.splitlines(keepends=True)[:3]), "one/dev: must have at least 4 pairs, got 3 "),
    ],
)
def test_fewer_pairs_than_are_to_be_chosen_are_refused(kitchen: Kitchen, text: str, fault: str) -> None:
    kitchen.files["train.txt"] = {"url": kitchen.server.url("train.txt")}
    kitchen.server.files["train.txt"] = text.encode()
    with pytest.raises(SourceError, match=fault):
        kitchen.cook()
    assert not (kitchen.data / "one").exists()


@pytest.mark.parametrize("name", ["one/train", "two/test"])
def test_an_empty_text_is_refused(kitchen: Kitchen, name: str) -> None:
    del kitchen.corpora["one"]["held_out"]
    kitchen.files["train.txt"] = {"url": kitchen.server.url("train.txt")}
    kitchen.server.files["train.txt"] = b"" if name == "one/train" else TRAIN.encode()
    if name == "two/test":
        put(kitchen.places.recipe, {"local.txt": ""})
    with pytest.raises(SourceError, match=f"{name}: must have at least 1 pairs, got 0 "):
        kitchen.cook()


def test_an_unexpected_count_is_told(kitchen: Kitchen) -> None:
    kitchen.corpora["one"]["expected_pairs"] = {"train": 26, "dev": 4}
    lines = kitchen.cook()
    assert "one/train: 26 pairs were expected, 25 are there" in lines
    assert not any("dev: 4 pairs were expected" in line for line in lines)


def test_only_the_corpora_that_are_named_are_made(kitchen: Kitchen) -> None:
    kitchen.cook(only=["two"])
    assert (kitchen.data / "two").is_dir()
    assert not (kitchen.data / "one").exists()
    with pytest.raises(SourceError, match="the recipe has no corpus 'three'; it has one, two"):
        kitchen.cook(only=["three"])


def test_files_may_be_uncompressed(kitchen: Kitchen) -> None:
    kitchen.corpora["two"]["compress"] = False
    kitchen.cook(only=["two"])
    assert (kitchen.data / "two" / "test.tsv").read_text() == TEST


def test_two_at_a_time_in_one_folder_are_refused(kitchen: Kitchen) -> None:
    with held(kitchen.data), pytest.raises(ResumeError, match="another process works in this folder"):
        kitchen.cook()
