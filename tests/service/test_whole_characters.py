"""Bytes spell characters, or none: what stands before the first that does not is known exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.whole_characters import num_spelled

BYTES = {1000 + byte: byte for byte in range(256)}
TOKENS = st.lists(st.one_of(st.integers(0, 9), st.sampled_from(sorted(BYTES))), max_size=12)


def spelled(token_ids: list[int]) -> bytes:
    return b"".join(bytes([BYTES[one]]) if one in BYTES else b"." for one in token_ids)


@given(TOKENS)
def test_what_stands_before_the_first_half_is_the_longest_beginning_of_whole_characters(
    ids: list[int],
) -> None:
    try:
        spelled(ids).decode()
        first = len(ids)
    except UnicodeDecodeError as error:
        first = error.start
    assert num_spelled(ids, BYTES) == first


@given(st.text(max_size=8))
def test_a_text_in_bytes_is_spelled_whole_and_without_its_last_byte_is_not(text: str) -> None:
    ids = [1000 + byte for byte in text.encode()]
    assert num_spelled(ids, BYTES) == len(ids)
    if text and not text[-1].isascii():
        assert num_spelled(ids[:-1], BYTES) == len(text[:-1].encode())


def test_without_pieces_of_bytes_all_is_spelled() -> None:
    assert num_spelled([1, 2, 1200], {}) == 3
