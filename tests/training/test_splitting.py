"""Held-out pairs: drawn by chance, never seen in training, whatever the order of the texts."""

import os
import random
from pathlib import Path

import pytest

from training.corpus import Pair
from training.errors import CorpusError
from training.splitting import SplitReport, draw, split

PAIRS = [Pair(f"sentence {number}", f"Satz {number}") for number in range(60)]


def texts(folder: Path, pairs: list[Pair]) -> tuple[Path, Path]:
    paths = folder / "texts.en", folder / "texts.de"
    for side, path in enumerate(paths):
        path.write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
    return paths


def done(folder: Path, pairs: list[Pair], dev: int = 5, test: int = 7, seed: int = 1) -> SplitReport:
    return split(*texts(folder, pairs), folder / "out", dev, test, seed, lambda name: lambda: None)


def read(path: Path) -> list[Pair]:
    return [Pair(*line.split("\t")) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_pair_comes_into_one_file(tmp_path: Path) -> None:
    assert done(tmp_path, PAIRS) == SplitReport(train=48, dev=5, test=7, empty=0, repeated=0)
    files = {name: read(tmp_path / "out" / f"{name}.tsv") for name in ("train", "dev", "test")}
    assert sorted(pair for pairs in files.values() for pair in pairs) == sorted(PAIRS)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dev.tsv", "test.tsv", "train.tsv"]


def test_what_shares_a_side_with_a_held_pair_is_left_out(tmp_path: Path) -> None:
    done(tmp_path, PAIRS)
    held = read(tmp_path / "out" / "dev.tsv")[0]
    more = [
        Pair(held.source, "anders"),
        Pair(held.source.upper(), "anders"),
        Pair("one more", held.target),
        held,
    ]
    (tmp_path / "again").mkdir()
    report = done(tmp_path / "again", [*PAIRS, *more])
    assert (report.train, report.repeated) == (48, 4)
    train = read(tmp_path / "again" / "out" / "train.tsv")
    assert not [pair for pair in train if pair.source.casefold() == held.source or pair.target == held.target]


def test_the_order_of_the_texts_changes_nothing() -> None:
    shuffled = random.Random(3).sample(PAIRS, len(PAIRS))
    assert draw(shuffled, 12, seed=1) == draw(PAIRS, 12, seed=1)


def test_another_seed_draws_other_pairs() -> None:
    assert draw(PAIRS, 12, seed=1) != draw(PAIRS, 12, seed=2)


def test_a_sentence_is_drawn_once() -> None:
    assert len({pair.source for pair in draw([*PAIRS, *PAIRS], 60, seed=1)}) == 60
    assert draw([*PAIRS, *PAIRS], 200, seed=1) == draw(PAIRS, 200, seed=1)


def test_drawn_pairs_come_from_all_over_the_text() -> None:
    places = [PAIRS.index(pair) for pair in draw(PAIRS, 20, seed=1)]
    assert min(places) < 20 < 40 <= max(places)
    assert places != sorted(places)


def test_empty_sides_are_left_out_and_tabs_do_not_part_a_line(tmp_path: Path) -> None:
    odd = [Pair("", "leer"), Pair("empty", "  "), Pair("a\tb  c", "d")]
    report = done(tmp_path, [*PAIRS, *odd])
    assert report.empty == 2
    files = [read(tmp_path / "out" / f"{name}.tsv") for name in ("train", "dev", "test")]
    assert Pair("a b c", "d") in [pair for pairs in files for pair in pairs]


@pytest.mark.parametrize(("dev", "test"), [(30, 30), (50, 50)])
def test_too_short_texts_are_refused_and_leave_no_file(tmp_path: Path, dev: int, test: int) -> None:
    with pytest.raises(CorpusError, match=rf"texts\.en: 60 different sentences are too few for {dev} dev"):
        done(tmp_path, PAIRS, dev, test)
    assert list((tmp_path / "out").iterdir()) == []


def test_texts_of_different_lengths_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    source, target = texts(tmp_path, PAIRS)
    target.write_text("eins\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"texts\.de: ends after line 1"):
        split(source, target, tmp_path / "out", 1, 1, 1, lambda name: lambda: None)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told_with_the_folder_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(pair: Pair) -> str:
        if pair.source == held.source:
            raise OSError(28, "No space left on device")
        return "a line\n"

    held = draw(PAIRS, 12, 1)[-1]  # the last pair of the test text
    monkeypatch.setattr("training.splitting._line", full_disk)
    with pytest.raises(OSError, match=r"No space left on device: '.*out'"):
        done(tmp_path, PAIRS)
    assert list((tmp_path / "out").iterdir()) == []


def test_files_that_are_there_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dev.tsv").write_text("mine\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"dev\.tsv: is there already; name another folder"):
        done(tmp_path, PAIRS)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dev.tsv"]


def test_each_pass_is_counted(tmp_path: Path) -> None:
    counts: dict[str, int] = {}

    def counting(name: str):  # type: ignore[no-untyped-def]
        counts[name] = 0
        return lambda: counts.__setitem__(name, counts[name] + 1)

    split(*texts(tmp_path, PAIRS), tmp_path / "out", 5, 7, 1, counting)
    assert counts == {"drawing": 60, "writing": 60}


def test_the_report_says_what_became_of_every_pair() -> None:
    assert SplitReport(4000, 5, 7, 1, 2).describe() == (
        "train 4,000 pairs, dev 5, test 7; left out: 1 with an empty side, "
        "2 that share a side with a dev or test pair"
    )


@pytest.mark.parametrize("side", [0, 1])
def test_a_pipe_is_refused_since_texts_are_read_twice(tmp_path: Path, side: int) -> None:
    paths = list(texts(tmp_path, PAIRS))
    read, write = os.pipe()
    os.write(write, paths[side].read_bytes())
    os.close(write)
    paths[side] = Path(f"/dev/fd/{read}")
    with pytest.raises(CorpusError, match=rf"/dev/fd/{read}: must be a file on a disk.*read twice; write"):
        split(*paths, tmp_path / "out", 5, 7, 1, lambda name: lambda: None)
    os.close(read)
    assert not (tmp_path / "out").exists()
