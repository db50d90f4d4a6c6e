"""Decoding: options, what strategies answer; `model.decoding.search` runs them over a network, with torch."""

from model.decoding.demands import target_limit
from model.decoding.options import DecodingOptions, OptionError, StrategyKind
from model.decoding.strategy import FinishReason, Hypothesis, Selection, Strategy

__all__ = [
    "DecodingOptions",
    "FinishReason",
    "Hypothesis",
    "OptionError",
    "Selection",
    "Strategy",
    "StrategyKind",
    "target_limit",
]
