"""What the device computes: sources into their places, and one position of every row.

Knows: weights, pools, the state. Must not know: searches, the host's bookkeeping, how work is captured.
Nothing here waits for the device, or looks at what it holds.
Shapes: B sentences, S source, R rows, G segments, D width, H heads, K head width, L layers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from model.cuda.attend import source_weights
from model.cuda.finish import log_probs_of
from model.cuda.shapes import StepShape
from model.cuda.state import Pools, StateView, StepState
from model.cuda.ways import Ways
from model.cuda.weights import FusedWeights, feed_forward_of, output_of
from model.layers import DecoderLayer, Residual
from model.transformer import Transformer


@dataclass(frozen=True, slots=True)
class _Carried:
    """What goes from one sublayer to the next, [R, D]: `x`, to which `rest` is still to be added."""

    x: Tensor
    rest: Tensor | None = None


class StepWork:
    """The network over pools and state. `model` is in eval mode, on the device, in its precision."""

    def __init__(self, model: Transformer, pools: Pools, state: StepState, ways: Ways) -> None:
        self.model, self.weights, self.ways = model, FusedWeights(model), ways
        self._output = output_of(model)
        self._pools, self._state = pools, state
        self._layers = list(cast(Iterable[DecoderLayer], model.decoder))
        self._feed_forward = [feed_forward_of(layer.feed_forward) for layer in self._layers]
        # Of whichever shape was asked for last: kept for each, these would be the most of all memory.
        scores = torch.promote_types(model.output.weight.dtype, torch.float32)
        size = (state.most_rows, model.config.target_vocab_size)
        self._scores = torch.empty(size, dtype=scores, device=model.output.weight.device)

    def encode(self, source_ids: Tensor, lengths: Tensor, places: Tensor) -> None:
        """`source_ids` [B, S], of which `lengths` [B] are real: keys and values of every layer to `places`
        [B]."""
        num_positions = source_ids.shape[1]
        mask = torch.arange(num_positions, device=source_ids.device) < lengths[:, None]
        memory = self.model.encode(source_ids, mask)
        pool = self._pools.sources
        ends = (pool.shape[0], 2, *pool.shape[-2:])
        keys_and_values = self.weights.sources(memory)  # [B, S, L 2 D]
        by_layer = keys_and_values.view(*source_ids.shape, *ends)
        pool[:, :, :, :num_positions].index_copy_(2, places, by_layer.permute(2, 3, 0, 1, 4, 5))

    def log_probs(self, shape: StepShape) -> Tensor:
        """One position of every row, until the next call: [R, V] in float32 (float64 when the network is)."""
        return self._scores[: shape.rows].copy_(log_probs_of(self._logits(shape, None)))

    def watched_log_probs(self, shape: StepShape) -> tuple[Tensor, Tensor]:
        """The same, and what each row attended to in its source [R, S] (see
        `Transformer.decode_step_watched`)."""
        watched: list[Tensor] = []
        return log_probs_of(self._logits(shape, watched)), watched[0]

    def advance(self, shape: StepShape) -> None:
        """One position of every row, selection included: the state goes on by a step, the record by a
        line."""
        self.ways.finish(self._logits(shape, None), self._state.view(shape), shape.width)

    def _logits(self, shape: StepShape, watched: list[Tensor] | None) -> Tensor:
        state = self._state.view(shape)
        carried = _Carried(self.ways.between.embed(self.model.target_embedding, state))
        aligning = self.model.config.alignment_layer % len(self._layers)
        for index in range(len(self._layers)):
            carried = self._layer(index, carried, state, shape, watched if index == aligning else None)
        return cast(Tensor, self._output(self._normed(carried)))

    def _normed(self, carried: _Carried) -> Tensor:
        """What comes out of the last layer, through the norm that is behind it, if any."""
        norm, rest = self.model.decoder_norm, carried.rest
        if rest is not None and isinstance(norm, torch.nn.LayerNorm):
            return self.ways.between.add_and_norm(carried.x, rest, norm)[1]
        return cast(Tensor, norm(carried.x if rest is None else carried.x + rest))

    def _layer(
        self, index: int, x: _Carried, state: StateView, shape: StepShape, watched: list[Tensor] | None
    ) -> _Carried:
        """One decoder layer."""
        layer, attend = self._layers[index], self.ways.attend
        targets, sources = self._pools.targets[index], self._pools.sources[index]
        ends = targets.shape[-2:]

        def attend_self(y: Tensor) -> Tensor:
            new = self.weights.self_attention[index](y).view(-1, 3, *ends)
            heads = attend.to_target(new, targets, state, shape)
            return cast(Tensor, layer.self_attention.output(heads.flatten(1)))

        def attend_source(y: Tensor) -> Tensor:
            query = layer.cross_attention.query(y).view(-1, *ends)
            if watched is not None:
                watched.append(source_weights(query, sources, state, shape))
            heads = attend.to_source(query, sources, state, shape)
            return cast(Tensor, layer.cross_attention.output(heads.flatten(1)))

        x = self._sublayer(layer.after_self, x, attend_self)
        x = self._sublayer(layer.after_cross, x, attend_source)
        return self._sublayer(layer.after_feed, x, self._feed_forward[index])

    def _sublayer(self, residual: Residual, x: _Carried, sublayer: Callable[[Tensor], Tensor]) -> _Carried:
        """As `Residual` has it; a sum that is normed next is left to be made with that."""
        between, norm = self.ways.between, residual.norm
        if not residual.pre:
            return _Carried(between.add_and_norm(x.x, sublayer(x.x), norm)[1])
        if x.rest is None:
            return _Carried(x.x, sublayer(norm(x.x)))
        total, normed = between.add_and_norm(x.x, x.rest, norm)
        return _Carried(total, sublayer(normed))
