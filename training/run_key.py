"""What must not change within one run: network, seed, data, batches, tokenizer. Lengths and rates may.

Knows: which settings count. Must not know: weights, where states lie.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from training.config import TrainingConfig

FIXED = {"model", "seed", "data", "batch", "tokenizer", "baseline"}
# As rates may, so may the size of a step: batches are counted one by one.
FREE = {"batch": {"batches_per_update"}}


def run_key(config: TrainingConfig, tokenizer_files: Mapping[str, bytes]) -> str:
    """Equal for two starts of one run, and for no other run.

    Settings at their default are left out: one that is new in Verto leaves older states usable.
    """
    fixed = config.model_dump(mode="json", include=FIXED, exclude=FREE, exclude_defaults=True)
    if len(config.directions) == 1:  # a text may say what is known anyhow
        for text in (*fixed["data"]["train"], *fixed["data"]["dev"]):
            text.pop("direction", None)
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode())
    for content in tokenizer_files.values():
        digest.update(content)
    return digest.hexdigest()
