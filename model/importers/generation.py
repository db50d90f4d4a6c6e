"""How a foreign folder wants its model decoded, as far as we mean the same by it.

Knows: `generation_config.json` and the older keys of `config.json`. Must not know: families.
"""

from __future__ import annotations

from model.decoding.options import MAX_BEAM_SIZE, MAX_NGRAM_SIZE, DecodingOptions
from model.importers.foreign import ForeignFolder

GENERATION_CONFIG = "generation_config.json"
USUAL_BEAM_SIZE = 4


def read_decoding(folder: ForeignFolder) -> DecodingOptions:
    """Beam size and repeated n-grams. Lengths are scored our way: `length_penalty` has another formula there.

    Raises BundleError for a value of the wrong kind.
    """
    beam = _setting(folder, "num_beams", USUAL_BEAM_SIZE, at_least=1)
    size = min(_setting(folder, "no_repeat_ngram_size", 0), MAX_NGRAM_SIZE)
    if beam == 1:
        return DecodingOptions(strategy="greedy", no_repeat_ngram_size=size)
    return DecodingOptions(beam_size=min(beam, MAX_BEAM_SIZE), no_repeat_ngram_size=size)


def _setting(folder: ForeignFolder, key: str, usual: int, at_least: int = 0) -> int:
    settings = folder.settings(GENERATION_CONFIG)
    return (settings if key in settings else folder.config).integer(key, usual, at_least=at_least)
