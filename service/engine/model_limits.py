"""What a model can take, known from its configuration alone: also where its weights are not.

Knows: `ModelConfig`, requests. Must not know: queues, devices.
"""

from __future__ import annotations

from model.config import ModelConfig
from model.decoding import target_limit
from service.engine.errors import SegmentTooLarge
from service.engine.request import SegmentRequest


def checked_max_length(request: SegmentRequest, config: ModelConfig) -> int:
    """The most target tokens that the segment may produce, `</s>` counted.

    Raises `SegmentTooLarge` for a source longer than the model reads, `ValueError` for unknown ids,
    `OptionError` where the options demand what the model cannot write.
    """
    num_tokens, longest = len(request.source_ids), config.max_source_length
    if num_tokens > longest:
        raise SegmentTooLarge("source_tokens", longest, num_tokens)
    # Out of range ids would stop a whole encoder group, and on some devices the process.
    if not 0 <= min(request.source_ids) <= max(request.source_ids) < config.source_vocab_size:
        raise ValueError(f"source_ids must be in 0..{config.source_vocab_size - 1}")
    return target_limit(request.options, config, num_tokens)
