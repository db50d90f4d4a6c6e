"""Lists in flat arrays: they come back, from memory and from files, padded and alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.ragged import Ragged, RaggedWriter, slices, smallest_dtype

LISTS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), max_size=9)


@given(LISTS)
def test_ragged_lists_come_back(lists: list[list[int]]) -> None:
    ragged = Ragged.from_lists(lists)
    assert [ragged[i].tolist() for i in range(len(ragged))] == lists
    assert ragged.lengths.tolist() == [len(one) for one in lists]
    chosen = np.arange(len(lists))[::-1]
    assert ragged.lengths_of(chosen).tolist() == [len(one) for one in reversed(lists)]


@given(LISTS.filter(bool))
def test_padded_rows_are_the_lists_and_padding(lists: list[list[int]]) -> None:
    rows, lengths = Ragged.from_lists(lists).padded(np.arange(len(lists))[::-1], pad=-7)
    longest = max(map(len, lists))
    assert rows.tolist() == [one + [-7] * (longest - len(one)) for one in reversed(lists)]
    assert lengths.tolist() == [len(one) for one in reversed(lists)]


@pytest.mark.parametrize("parts", [[], [[]], [[[1, 2], []]], [[[5]], [], [[6, 7], [8]], [[], [9]]]])
def test_what_is_written_in_parts_is_mapped_as_a_whole(tmp_path: Path, parts: list[list[list[int]]]) -> None:
    with RaggedWriter(tmp_path, "source", np.int32) as writer:
        for part in parts:
            writer.append(part)
    mapped = Ragged.mapped(tmp_path, "source", np.int32)
    wanted = [one for part in parts for one in part]
    assert [mapped[i].tolist() for i in range(len(mapped))] == wanted
    assert writer.num_values == sum(map(len, wanted))
    assert not mapped.values.flags.writeable or not len(mapped.values)


def test_bytes_are_lists_too(tmp_path: Path) -> None:
    texts = ["grün".encode(), b"", b"a"]
    with RaggedWriter(tmp_path, "text", np.uint8) as writer:
        writer.append(texts)
        writer.append(texts[:1])
    mapped = Ragged.mapped(tmp_path, "text", np.uint8)
    assert [mapped[i].tobytes() for i in range(len(mapped))] == [*texts, texts[0]]


def test_ids_take_two_bytes_where_the_vocabulary_allows() -> None:
    assert smallest_dtype(65_536) == np.uint16
    assert smallest_dtype(65_537) == np.int32


def test_slices_cover_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.ragged.SLICE_LISTS", 4)
    assert [(part.start, part.stop) for part in slices(10)] == [(0, 4), (4, 8), (8, 10)]
    assert list(slices(0)) == []


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"source\.values"):
        Ragged.mapped(tmp_path, "source", np.int32)
