"""The device's side of the engine: what to encode together, one step, what a segment costs there.

Knows: the network through `Search`, and segments. Must not know: queues, deadlines, events, threads.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from model.decoding import Hypothesis, Selection
from model.decoding.search import NewSegment, Search
from model.network import Network
from service.engine.model_limits import checked_max_length
from service.engine.request import Segment, SegmentRequest

# Tokens of padding in one group of the encoder. With the shipped model on one core, a pass took 4.2 ms before
# its first token and 0.1 ms for each, so that another pass costs as much as 40 tokens (2026-11-24).
MAX_GROUP_PADDING = 40
UNBOUNDED = 1 << 62


class Runner:
    """The running batch on the device. The caller holds `torch.inference_mode`."""

    def __init__(self, network: Network, bytes_per_position: int | None = None) -> None:
        """`bytes_per_position`: to be reserved, where that is more than this network takes."""
        self._network, self._config = network, network.config
        self._search = Search(network)
        self.bytes_per_position = bytes_per_position or network.bytes_per_position
        # Tokens of padding in what is encoded together. On a GPU the network makes its own batches.
        self.max_group_padding = MAX_GROUP_PADDING if network.device.type == "cpu" else UNBOUNDED

    @property
    def path(self) -> str:
        """How the network computes: `Network.path`."""
        return self._network.path

    @property
    def keys(self) -> Sequence[int]:
        return self._search.keys

    @property
    def num_rows(self) -> int:
        return self._search.num_rows

    @property
    def num_ahead(self) -> int:
        """Steps that the network has computed already: who joins before they are told makes it compute
        anew."""
        return self._search.num_ahead

    @property
    def bytes_held(self) -> int:
        """Bytes of keys and values on the device; never more than is reserved."""
        return self._search.num_bytes

    def max_length(self, request: SegmentRequest) -> int:
        """The most target tokens that the segment may produce, `</s>` counted.

        Raises `SegmentTooLarge` for a source longer than the model reads, `ValueError` for unknown ids.
        """
        return checked_max_length(request, self._config)

    def join(self, segments: Sequence[Segment]) -> None:
        """Encode the segments as one padded group and give them rows.

        May raise whatever the device raises. Segments that `keys` lists afterwards are unharmed.
        """
        self._search.join([_new(segment) for segment in segments])

    def step(self, *, run_on: bool = True) -> Selection:
        """One position for every row. `run_on`: nobody waits to join. After an exception nothing runs any
        more."""
        try:
            return self._search.step(run_on=run_on)
        except BaseException:
            self._search.clear()
            raise

    def attention(self, segment: Segment, hypothesis: Hypothesis) -> Tensor:
        """See `FinishedEvent.attention`. A pass of its own; may raise whatever the device raises."""
        ended = (self._config.eos_id,) if hypothesis.finish_reason == "stop" else ()
        return self._network.cross_attention(segment.request.source_ids, (*hypothesis.token_ids, *ended))

    def drop(self, keys: Sequence[int]) -> None:
        """Free the rows of these segments."""
        self._search.drop(keys)

    def clear(self) -> None:
        self._search.clear()


def _new(segment: Segment) -> NewSegment:
    request = segment.request
    return NewSegment(
        segment.key,
        request.source_ids,
        request.options,
        segment.max_length,
        request.stream,
        request.draft,
    )


def length_groups(segments: Sequence[Segment], max_padding: int = MAX_GROUP_PADDING) -> list[list[Segment]]:
    """Segments by source length, longest first, cut where padding would cost more than another pass."""
    groups: list[list[Segment]] = []
    padding = 0
    for segment in sorted(segments, key=lambda segment: -segment.num_source_tokens):
        padding += groups[-1][0].num_source_tokens - segment.num_source_tokens if groups else 0
        if groups and padding <= max_padding:
            groups[-1].append(segment)
        else:
            groups.append([segment])
            padding = 0
    return groups


def encoder_padding(group: Sequence[Segment]) -> int:
    """Padding tokens that the encoder computes for this group."""
    return _padding([segment.num_source_tokens for segment in group])


def decoder_padding(running: Sequence[Segment]) -> int:
    """Positions that attention reads and masks in the next step: each side is as long as its longest."""
    longest = longest_source = rows = filled = filled_source = 0
    for segment in running:  # at every step, so in one pass
        length, source, width = segment.num_steps + 1, segment.num_source_tokens, segment.rows
        longest, longest_source = max(longest, length), max(longest_source, source)
        rows, filled, filled_source = rows + width, filled + width * length, filled_source + source
    return longest * rows - filled + longest_source * len(running) - filled_source


def _padding(lengths: Sequence[int]) -> int:
    return max(lengths, default=0) * len(lengths) - sum(lengths)
