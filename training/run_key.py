"""What must not change within one run: network, seed, data, batches, tokenizer. Lengths and rates may.

Knows: which settings count. Must not know: weights, where states lie.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from training.config import TrainingConfig

FIXED = {"model", "seed", "data", "batch", "tokenizer", "baseline"}
# As rates may, so may the size of a step: batches are counted one by one.
FREE = {"batch": {"batches_per_update"}}
_MOST_SHOWN = 80  # characters of a value


def run_key(config: TrainingConfig, tokenizer_files: Mapping[str, bytes]) -> str:
    """Equal for two starts of one run, and for no other run.

    Settings at their default are left out: one that is new in Verto leaves older states usable.
    """
    digest = hashlib.sha256(json.dumps(_fixed(config), sort_keys=True).encode())
    for content in tokenizer_files.values():
        digest.update(content)
    return digest.hexdigest()


def other_setting(before: TrainingConfig, now: TrainingConfig) -> str | None:
    """The first setting that must not change and has, in words; None where there is none."""
    was, is_now = _by_place(_fixed(before)), _by_place(_fixed(now))
    for place in sorted(was.keys() | is_now.keys()):
        if was.get(place) != is_now.get(place):
            values = [_shown(each.get(place)) for each in (was, is_now)]
            if max(map(len, values)) > _MOST_SHOWN:  # as of a list of texts, in which nobody would find it
                return f"{place} is not what it was"
            return f"{place} was {values[0]}, is {values[1]}"
    return None


def _fixed(config: TrainingConfig) -> dict[str, Any]:
    fixed = config.model_dump(mode="json", include=FIXED, exclude=FREE, exclude_defaults=True)
    if len(config.directions) == 1:  # a text may say what is known anyhow
        for text in (*fixed["data"]["train"], *fixed["data"]["dev"]):
            text.pop("direction", None)
    return fixed


def _by_place(section: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values by their place in the recipe, as `model.d_model`."""
    places = dict[str, Any]()
    for name, value in section.items():
        inner = _by_place(value, f"{before}{name}.") if isinstance(value, dict) else {}
        places |= inner or {f"{before}{name}": value}
    return places


def _shown(value: Any) -> str:
    return "its default" if value is None else json.dumps(value)
