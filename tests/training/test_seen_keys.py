"""Keys that came before, in memory and in files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.seen_keys import SeenKeys

KEYS = st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=12), max_size=12)


@pytest.fixture
def few_keys_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.seen_keys.MAX_KEYS_IN_MEMORY", 5)
    monkeypatch.setattr("training.seen_keys._MERGED_KEYS", 3)


def is_new(seen: SeenKeys, keys: list[int]) -> list[bool]:
    return [bool(new) for new in seen.add(np.array(keys, dtype=np.uint64))]


def check(folder: Path, parts: list[list[int]]) -> None:
    seen, known = SeenKeys(folder), set[int]()
    for keys in parts:
        wanted = [key not in known and key not in keys[:place] for place, key in enumerate(keys)]
        assert is_new(seen, keys) == wanted
        known.update(keys)
        assert len(seen) == len(known)


@given(KEYS)
def test_a_key_is_new_once(tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]) -> None:
    check(tmp_path_factory.getbasetemp(), parts)


@pytest.mark.usefixtures("few_keys_in_memory")
@given(KEYS)
def test_a_key_is_new_once_where_runs_lie_in_files(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]
) -> None:
    check(tmp_path_factory.mktemp("keys"), parts)


@pytest.mark.usefixtures("few_keys_in_memory")
def test_long_runs_lie_in_few_files_of_eight_bytes_a_key(tmp_path: Path) -> None:
    seen = SeenKeys(tmp_path)
    for start in range(0, 1000, 4):
        assert all(is_new(seen, list(range(start, start + 4))))
    files = list(tmp_path.iterdir())
    assert 1 <= len(files) <= 12
    assert sum(path.stat().st_size for path in files) <= 8 * 1000
    assert not any(is_new(seen, list(range(1000))))
