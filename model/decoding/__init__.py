"""Decoding: options, strategies, and the search that runs them over a network."""

from model.decoding.options import DecodingOptions, OptionError, StrategyKind
from model.decoding.search import NewSegment, Search, decode_batch, target_limit
from model.decoding.strategy import FinishReason, Hypothesis, Selection, Strategy

__all__ = [
    "DecodingOptions",
    "FinishReason",
    "Hypothesis",
    "NewSegment",
    "OptionError",
    "Search",
    "Selection",
    "Strategy",
    "StrategyKind",
    "decode_batch",
    "target_limit",
]
