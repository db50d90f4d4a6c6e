"""Pairs of text in files: they come back in order, whatever the chunks."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.corpus import Pair
from training.pair_text import PairText, PairTextWriter, in_chunks

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
PAIRS = st.lists(st.builds(Pair, TEXTS, TEXTS), max_size=12)


def stored(folder: Path, parts: list[list[Pair]]) -> PairText:
    with PairTextWriter(folder, "all") as writer:
        for part in parts:
            writer.append(part)
    return PairText.mapped(folder, "all")


@given(st.lists(PAIRS, max_size=4))
@settings(max_examples=30)
def test_pairs_come_back(tmp_path_factory: pytest.TempPathFactory, parts: list[list[Pair]]) -> None:
    text = stored(tmp_path_factory.getbasetemp(), parts)
    wanted = [pair for part in parts for pair in part]
    assert list(text) == wanted
    assert len(text) == len(wanted)


def test_a_part_comes_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pair_text.CHUNK_PAIRS", 3)
    pairs = [Pair(str(number), "ü" * number) for number in range(10)]
    text = stored(tmp_path, [pairs])
    assert list(text.chunks(1, 9)) == [pairs[1:4], pairs[4:7], pairs[7:9]]
    assert list(text.chunks(4, 4)) == []
    assert list(in_chunks(iter(pairs))) == [pairs[:3], pairs[3:6], pairs[6:9], pairs[9:]]
