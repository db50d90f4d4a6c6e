"""Where pieces of single bytes spell characters, and where they spell none.

A model that has hardly ever written such a piece may take one for a word that it does not know, and half a
character is shown as U+FFFD. Knows token ids and bytes; must not know tokenizers, the engine or requests.
"""

from collections.abc import Mapping, Sequence


def num_spelled(token_ids: Sequence[int], byte_of: Mapping[int, int]) -> int:
    """How many of the first tokens stand before a byte that is no part of a whole character, as one at the
    end whose character is not complete; all where there is none. `byte_of`: ids of such pieces."""
    if byte_of.keys().isdisjoint(token_ids):
        return len(token_ids)
    run = bytearray()  # of bytes up to here
    for place, token_id in enumerate(token_ids):
        if token_id in byte_of:
            run.append(byte_of[token_id])
        elif (wrong := _first_wrong(run)) < len(run):
            return place - len(run) + wrong
        else:
            run.clear()
    return len(token_ids) - len(run) + _first_wrong(run)


def _first_wrong(run: bytearray) -> int:
    try:
        run.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(run)
