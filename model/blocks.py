"""In which units keys and values take memory, and attention reads them.

Knows: numbers of positions. Must not know: tensors.
"""

BLOCK = 16  # positions that memory grows by, and that attention reads together


def whole_blocks(num_positions: int) -> int:
    """So many positions, rounded up to whole blocks."""
    return -(-num_positions // BLOCK) * BLOCK
