"""Pairs are kept or dropped by rule, each dropped one counted; choices and orders are always the same."""

import gzip
from pathlib import Path

import pytest

from tests.training.sources.raw import put
from training.cleaning_report import CleaningReport
from training.corpus import Pair
from training.sources.config import Corpus, HeldOutFile, TabSeparated
from training.sources.corpus_files import (
    chosen,
    held_out_keys,
    held_out_pairs,
    training_pairs,
    without_held_out,
    write_pairs,
)

TEXT = TabSeparated(format="tsv", text="a.txt")
MANY = [Pair(f"number {n} of many", f"Nummer {n} von vielen") for n in range(50)]


def corpus() -> Corpus:
    return Corpus(languages=("en", "de"), licence="CC0", attribution="none", train=(TEXT,))


def counted(pairs: int) -> CleaningReport:
    return CleaningReport(read=pairs, kept=pairs)


def test_blank_and_repeated_pairs_are_dropped_and_counted(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": "one\teins\n\u00a0one \teins\n \tzwei\ntwo\tzwei\n"})
    counts = CleaningReport()
    assert training_pairs(corpus(), tmp_path, counts) == [Pair("one", "eins"), Pair("two", "zwei")]
    assert counts.describe() == "4 pairs read, 2 kept (dropped: blank 1, repeated 1)"


def test_a_side_that_stands_in_a_test_text_is_left_out_whatever_its_case_and_marks() -> None:
    keys = held_out_keys([Pair("Where is the station?", "Wo ist der Bahnhof?")])
    pairs = [
        Pair("where is the station", "Wo geht es zum Bahnhof?"),
        Pair("Which way to the station?", "„Wo ist der Bahnhof“"),
        Pair("Where is the bus station?", "Wo ist der Busbahnhof?"),
    ]
    counts = counted(3)
    assert without_held_out(pairs, keys, counts) == pairs[2:]
    assert counts.describe() == "3 pairs read, 1 kept (dropped: held out 2)"


def test_short_sides_may_stand_in_both() -> None:
    assert held_out_keys([Pair("Thank you!", "Vielen lieben Dank!")]) == {"vielen lieben dank"}


def test_the_order_looks_random_and_depends_on_the_pairs_alone() -> None:
    forth, back = (without_held_out(pairs, set(), counted(50)) for pairs in (MANY, MANY[::-1]))
    assert forth == back
    assert forth not in (MANY, MANY[::-1])


def test_chosen_pairs_are_distinct_on_both_sides_and_long_enough() -> None:
    twice = [Pair(pair.source, "eine ganz andere Übersetzung") for pair in MANY]
    counts = CleaningReport()
    found = chosen([*MANY, *twice, Pair("too short", "zu kurz")], 20, 3, counts)
    assert len(found) == 20
    assert len({pair.source for pair in found}) == len({pair.target for pair in found}) == 20
    assert (counts.read, counts.kept, counts.dropped["short"], counts.dropped["not chosen"]) == (
        101,
        20,
        1,
        80,
    )


def test_a_choice_depends_on_the_pairs_alone() -> None:
    assert chosen(MANY, 5, 0, CleaningReport()) == chosen(MANY[::-1], 5, 0, CleaningReport())


@pytest.mark.parametrize(("as_published", "kept"), [(True, 3), (False, 2)])
def test_a_published_text_keeps_its_repeated_pairs(tmp_path: Path, as_published: bool, kept: int) -> None:
    put(tmp_path, {"a.txt": "one\teins\none\teins\ntwo\tzwei\n"})
    wanted = HeldOutFile(parts=(TEXT,), as_published=as_published)
    assert len(held_out_pairs(wanted, [], tmp_path, CleaningReport())) == kept


def test_equal_pairs_make_equal_files(tmp_path: Path) -> None:
    for name in ("a.tsv.gz", "b.tsv.gz", "c.tsv"):
        write_pairs(tmp_path / name, [Pair("one", "eins")])
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()) == (tmp_path / "c.tsv").read_bytes()
