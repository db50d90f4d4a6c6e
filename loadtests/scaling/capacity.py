"""What one replica holds, and what a million characters cost.

Knows: bytes of keys and values, rates, prices. Must not know: clusters, files of results.

    cost of a million characters = price per hour x 1,000,000 / (characters per second x 3600 x load)
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.scaling.subjects import BEAM, Subject, rows
from model.config import ModelConfig

NUMBER_BYTES = 4  # keys and values are float32 in every precision of a CPU
SECONDS_PER_HOUR, MILLION = 3600.0, 1e6


@dataclass(frozen=True, slots=True)
class Held:
    """Of one replica while its batch is full, and per second while somebody always waits."""

    name: str
    rows: int
    sentences: int
    longest_bytes: int  # keys and values when every sentence has the most tokens, source and target
    usual_bytes: int  # with sentences of middle length
    sentences_per_second: float
    characters_per_second: float


def held(subject: Subject, config: ModelConfig, characters: float) -> Held:
    """`characters` is the mean of a sentence."""
    middle = round(subject.mean_tokens)
    return Held(
        name=subject.name,
        rows=rows(),
        sentences=rows() // BEAM,
        longest_bytes=cache_bytes(config, config.max_source_length, config.max_target_length),
        usual_bytes=cache_bytes(config, middle, middle),
        sentences_per_second=subject.capacity,
        characters_per_second=subject.capacity * characters,
    )


def cache_bytes(config: ModelConfig, source: int, target: int) -> int:
    """Keys and values of a full batch: of every row its target, of every sentence its source, once."""
    positions = rows() * target + rows() // BEAM * source
    return positions * 2 * config.num_decoder_layers * config.d_model * NUMBER_BYTES


def million_characters(price_per_hour: float, characters_per_second: float, load: float) -> float:
    """In the unit of the price; `load` is the share of its capacity that a replica has on average."""
    return price_per_hour * MILLION / (characters_per_second * SECONDS_PER_HOUR * load)
