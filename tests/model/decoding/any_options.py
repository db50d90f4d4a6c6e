"""Options of every kind at random, for properties that must hold whatever is asked.

Knows: the bounds of `DecodingOptions` on a vocabulary of `NUM_TOKENS` tokens. Must not know: strategies.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from model.decoding.constraints import TargetVocabulary
from model.decoding.options import DecodingOptions

NUM_TOKENS = 7
NEVER_TEXT = 6
RANDOM_VOCABULARY = TargetVocabulary(eos_id=0, never_ids=(NEVER_TEXT,))
LONGEST = 9  # of hypotheses; room for any prefix and phrases drawn below

TEXT = st.integers(1, NEVER_TEXT - 1)
SHARED: dict[str, st.SearchStrategy[Any]] = {
    "repetition_penalty": st.sampled_from([0.5, 1.2, 2.0]),
    "no_repeat_ngram_size": st.integers(1, 3),
    "min_length": st.integers(0, 6),
    "prefix_ids": st.lists(TEXT, max_size=3).map(tuple),
    "banned_ids": st.lists(st.lists(TEXT, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple),
}
SAMPLE: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.sampled_from([0.3, 1.0, 2.5]),
    "top_k": st.integers(0, NUM_TOKENS + 1),
    "top_p": st.sampled_from([0.2, 0.7, 0.95, 1.0]),
    "min_p": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    "epsilon": st.sampled_from([0.0, 0.05, 0.5]),
}
BEAM: dict[str, st.SearchStrategy[Any]] = {
    "length_penalty": st.sampled_from([0.0, 0.6, 3.0]),
    "coverage_penalty": st.sampled_from([0.2, 1.0, 5.0]),
    "patience": st.sampled_from([0.25, 0.6, 2.0]),
    "diversity_penalty": st.sampled_from([0.3, 2.0, 20.0]),
    "required_ids": st.lists(st.lists(TEXT, min_size=1, max_size=3).map(tuple), max_size=2).map(tuple),
}


@st.composite
def any_options(draw: st.DrawFn) -> DecodingOptions:
    kind = draw(st.sampled_from(["greedy", "sample", "beam", "beam"]))
    chosen = _some(draw, SHARED)
    if kind == "sample":
        chosen |= _some(draw, SAMPLE) | {"seed": draw(st.integers(0, 2**63 - 1))}
    if kind == "beam":
        chosen |= _beam(draw, chosen)
    return DecodingOptions.from_dict({"strategy": kind, **chosen})


def _some(draw: st.DrawFn, options: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """Each option is left out as often as not, so that those drawn are seen alone and together."""
    return {name: draw(values) for name, values in options.items() if draw(st.booleans())}


def _beam(draw: st.DrawFn, shared: dict[str, Any]) -> dict[str, Any]:
    groups, width = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 4))
    beam_size = groups * width
    chosen = _some(draw, BEAM)
    if groups == 1 or chosen.get("required_ids"):
        chosen.pop("diversity_penalty", None)
    if chosen.get("required_ids"):  # nothing may forbid them
        shared.pop("no_repeat_ngram_size", None)
        shared.pop("banned_ids", None)
    num_hypotheses = draw(st.integers(1, beam_size))
    sizes = {"beam_size": beam_size, "diversity_groups": groups, "num_hypotheses": num_hypotheses}
    return sizes | chosen
