"""What a model takes of memory, before it takes it: weights by precision, keys and values by rows.

Knows: sizes of bundles and networks. Must not know: devices other than the processor, requests.
"""

from __future__ import annotations

from pathlib import Path

from model.bundle_config import CONFIG_FILE, parse_config
from model.config import ModelConfig
from model.manifest import BundleError, read_bytes
from model.stored_sizes import num_stored_weights
from service.engine.memory import available_memory
from service.engine.network_plan import PlanError, Precision

LANES = 16  # floats of a vector, which every head of the native network is filled up to
BYTES_OF_WEIGHT: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


def check_memory(folder: Path, precision: Precision, cache_bytes: int, max_rows: int) -> None:
    """Raises `PlanError` when weights, keys and values are more than there is.

    An estimate from below: what passes may still turn out too large, what is refused could not run. What is
    wrong with a bundle is told by who loads it.
    """
    available = available_memory()
    if available is None:
        return
    try:
        config = parse_config(folder / CONFIG_FILE, read_bytes(folder / CONFIG_FILE))[1]
        weights = weight_bytes(num_stored_weights(folder), config, precision)
    except BundleError:
        return
    if weights > available:
        raise PlanError(
            f"{folder}: in precision {precision!r} its weights need {_in_mb(weights)}, and "
            f"{_in_mb(available)} are free; choose --precision int8 where it is not, or give it more memory"
        )
    cache = min(cache_bytes, largest_cache(config, max_rows))
    if weights + cache > available:
        raise PlanError(
            f"{folder}: keys and values may take {_in_mb(cache)} and the weights {_in_mb(weights)}, and "
            f"{_in_mb(available)} are free; lower cache_bytes_limit (it is {cache_bytes}) or "
            f"max_rows ({max_rows})"
        )


def weight_bytes(num_weights: int, config: ModelConfig, precision: Precision) -> int:
    """Matrices in the precision; embeddings are looked up in float32, besides any use as output matrix."""
    tables = config.source_vocab_size + (0 if config.share_embeddings else config.target_vocab_size)
    extra = 4 - BYTES_OF_WEIGHT[precision]
    return num_weights * BYTES_OF_WEIGHT[precision] + tables * config.d_model * extra


def largest_cache(config: ModelConfig, max_rows: int) -> int:
    """Bytes when every row is as long as the model can write, and its source as long as it can read."""
    positions = config.max_target_length + config.max_source_length
    return max_rows * positions * native_bytes_per_position(config)


def native_bytes_per_position(config: ModelConfig) -> int:
    """A key and a value in float32 of every head of every decoder layer; at least what any network takes."""
    head_width = -(-config.d_model // config.num_decoder_heads)
    filled = -(-head_width // LANES) * LANES * config.num_decoder_heads
    return 2 * config.num_decoder_layers * filled * 4


def _in_mb(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.0f} MB"
