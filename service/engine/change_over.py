"""From one network to another while segments run: who runs stays where it is, who joins goes to the new one.

Knows: runners. Must not know: networks, why there is another one. Rows of the old runner stand before those
of the new one.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from model.decoding import Hypothesis, Selection
from service.engine.request import Segment, SegmentRequest
from service.engine.runner import Runner


class TwoRunners:
    """What an engine needs of a `Runner`, over an old and a new one, until the old one runs nothing more."""

    def __init__(self, old: Runner | TwoRunners, new: Runner) -> None:
        self._old, self.new = old, new

    @property
    def is_done(self) -> bool:
        """Whether the new one may stand in for both."""
        return not self._old.keys

    @property
    def path(self) -> str:
        """See `Runner.path`."""
        return self.new.path

    @property
    def keys(self) -> Sequence[int]:
        return (*self._old.keys, *self.new.keys)

    @property
    def num_rows(self) -> int:
        return self._old.num_rows + self.new.num_rows

    @property
    def max_group_padding(self) -> int:
        """See `Runner.max_group_padding`."""
        return self.new.max_group_padding

    @property
    def num_ahead(self) -> int:
        """See `Runner.num_ahead`. Who joins goes to the new one, whatever the old one is at."""
        return self.new.num_ahead

    @property
    def bytes_held(self) -> int:
        """See `Runner.bytes_held`."""
        return self._old.bytes_held + self.new.bytes_held

    def max_length(self, request: SegmentRequest) -> int:
        """See `Runner.max_length`; both have the same model."""
        return self.new.max_length(request)

    def join(self, segments: Sequence[Segment]) -> None:
        """See `Runner.join`."""
        self.new.join(segments)

    def step(self, *, run_on: bool = True) -> Selection:
        """One position for every row of both; see `Runner.step`."""
        running = [runner for runner in (self._old, self.new) if runner.keys]
        try:
            selections = [runner.step(run_on=run_on) for runner in running]
        except BaseException:
            self.clear()  # what the other one has selected would be lost, so that its segments cannot go on
            raise
        return selections[0] if len(selections) == 1 else _together(*selections)

    def attention(self, segment: Segment, hypothesis: Hypothesis) -> Tensor:
        """See `Runner.attention`."""
        return self.new.attention(segment, hypothesis)

    def drop(self, keys: Sequence[int]) -> None:
        """See `Runner.drop`."""
        self._old.drop(keys)
        self.new.drop(keys)

    def clear(self) -> None:
        """See `Runner.clear`."""
        self._old.clear()
        self.new.clear()


def _together(old: Selection, new: Selection) -> Selection:
    """What came of a step, by key. Rows are each runner's own affair, so there are no parents to tell."""
    return Selection(
        parents=None,
        token_ids=new.token_ids,
        finished={**old.finished, **new.finished},
        stable={**old.stable, **new.stable},
        failed=(*old.failed, *new.failed),
        drafts={**old.drafts, **new.drafts},
    )
