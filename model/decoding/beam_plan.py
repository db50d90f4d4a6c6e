"""How the beams of a batch choose: which rules, groups and required phrases are in force.

Knows: options of segments, rows, the three ways of choosing. Must not know: finishing, stopping, scores.
Derived anew when segments come or go, so that a step asks for what is used and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from model.decoding.beam_rows import BeamRows
from model.decoding.beam_segment import BeamSegment
from model.decoding.candidates import best_candidates
from model.decoding.constraints import Constraints, TargetVocabulary
from model.decoding.diversity import DiverseGroups
from model.decoding.picks import Picks
from model.decoding.required import RequiredPhrases
from model.decoding.required_picks import RequiredBeam, RequiredBeams

BeamsByGroup = Mapping[tuple[int, int], RequiredBeam]  # by key of the segment and number of the group


def required_beams(segment: BeamSegment) -> dict[tuple[int, int], RequiredBeam]:
    """What the groups of a new segment must write, if anything."""
    options = segment.options
    if not options.required_ids:
        return {}
    phrases, width = RequiredPhrases(options.required_ids), options.rows // options.diversity_groups
    return {
        (segment.key, group): RequiredBeam(phrases, width, len(options.prefix_ids), segment.max_length)
        for group in range(options.diversity_groups)
    }


class BeamPlan:
    """The choosing of all beams that are live now."""

    def __init__(
        self,
        vocabulary: TargetVocabulary,
        segments: Sequence[BeamSegment],
        rows: BeamRows,
        required: BeamsByGroup,
    ) -> None:
        self._eos_id, self._rows = vocabulary.eos_id, rows
        by_row = [segment for segment in segments for _ in range(segment.options.rows)]
        self._constraints = Constraints(vocabulary, [segment.options for segment in by_row])
        self.source_lengths = torch.tensor([segment.source_length for segment in by_row])
        self._diverse = _diverse(segments, rows)
        self._required = _required(segments, rows, required, vocabulary.eos_id)

    def pick(self, log_probs: Tensor) -> Picks:
        """Steps 1 to 3 of every beam. `log_probs` [R, V] may be overwritten."""
        rows = self._rows
        held = [filled for filled, width in zip(rows.filled, rows.widths, strict=True) for _ in range(width)]
        scores = self._constraints.apply(log_probs, held, rows.history)
        if self._diverse is None:
            own = scores.own if scores.differ else None
            candidates = best_candidates(rows.totals, scores.counted, rows.groups, own)
            picks = Picks.of(candidates, rows.groups, self._eos_id)
        else:
            picks = self._diverse.pick(rows.totals, scores, self._eos_id)
        if self._required is not None:
            held_by_group = [rows.filled[segment] for segment in rows.segment_of_group]
            self._required.override(picks, rows.totals, scores, held_by_group)
        return picks


def _diverse(segments: Sequence[BeamSegment], rows: BeamRows) -> DiverseGroups | None:
    penalties = [segments[index].options.diversity_penalty for index in rows.segment_of_group]
    if not any(penalties):
        return None
    return DiverseGroups(rows.groups, rows.widths, rows.segment_of_group, rows.number_of_group, penalties)


def _required(
    segments: Sequence[BeamSegment], rows: BeamRows, required: BeamsByGroup, eos_id: int
) -> RequiredBeams | None:
    if not required:
        return None
    owners = zip(rows.segment_of_group, rows.number_of_group, strict=True)
    places = {(segments[index].key, number): place for place, (index, number) in enumerate(owners)}
    widths = [rows.widths[index] // rows.num_groups[index] for index in rows.segment_of_group]
    first_rows = [0, *accumulate(widths)]
    return RequiredBeams({places[owner]: beam for owner, beam in required.items()}, first_rows, eos_id)
