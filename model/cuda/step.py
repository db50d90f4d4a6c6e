"""What the device computes: sources into their places, and one position of every row.

Knows: weights, pools, the state. Must not know: searches, the host's bookkeeping, how work is captured.
Nothing here waits for the device, or looks at what it holds.
Shapes: B sentences, S source, R rows, G segments, D width, H heads, K head width, L layers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from model.cuda.attend import Attend, source_weights
from model.cuda.select import TOLD, select, top_of
from model.cuda.shapes import StepShape
from model.cuda.state import Pools, StateView, StepState
from model.cuda.weights import FusedWeights
from model.decoding.constraints import TargetVocabulary
from model.layers import DecoderLayer
from model.transformer import Transformer


class StepWork:
    """The network over pools and state. `model` is in eval mode, on the device, in its precision."""

    def __init__(self, model: Transformer, pools: Pools, state: StepState, attend: Attend) -> None:
        self.model, self.weights, self.attend = model, FusedWeights(model), attend
        self._pools, self._state = pools, state
        self._layers = list(cast(Iterable[DecoderLayer], model.decoder))
        vocabulary = TargetVocabulary.of(model.config)
        self._eos_id = vocabulary.eos_id
        device = model.output.weight.device
        self._never_ids = torch.tensor(vocabulary.never_ids, dtype=torch.long, device=device)
        # Of whichever shape was asked for last: kept for each, these would be the most of all memory.
        scores = torch.promote_types(model.output.weight.dtype, torch.float32)
        size = (state.most_rows, model.config.target_vocab_size)
        self._scores = torch.empty(size, dtype=scores, device=device)

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
        return self._scores[: shape.rows].copy_(self._log_probs(shape, None))

    def watched_log_probs(self, shape: StepShape) -> tuple[Tensor, Tensor]:
        """The same, and what each row attended to in its source [R, S] (see
        `Transformer.decode_step_watched`)."""
        watched: list[Tensor] = []
        return self._log_probs(shape, watched), watched[0]

    def advance(self, shape: StepShape) -> None:
        """One position of every row, selection included: the state goes on by a step, the record by a
        line."""
        state = self._state.view(shape)
        log_probs = self._log_probs(shape, None)
        values, token_ids = top_of(log_probs, state, shape.width, self._never_ids, self._eos_id)
        told = select(state, values, token_ids, self._eos_id)
        state.record.index_copy_(0, state.counter, told[None])
        state.counter.add_(1)
        state.token.copy_(told[TOLD.token])
        state.total.copy_(told[TOLD.total])
        state.ancestors.copy_(state.ancestors.index_select(0, told[TOLD.parent].long()))
        # Behind its last position a row can only be one that has ended, and that the host has not told yet.
        state.length.add_(1).clamp_(max=self.model.config.max_target_length - 1)

    def _log_probs(self, shape: StepShape, watched: list[Tensor] | None) -> Tensor:
        state = self._state.view(shape)
        x = self.model.target_embedding(state.token, state.length)
        state.ancestors.scatter_(1, state.length[:, None], state.place[:, None].int())
        aligning = self.model.config.alignment_layer % len(self._layers)
        for index in range(len(self._layers)):
            x = self._layer(index, x, state, shape, watched if index == aligning else None)
        logits = self.model.output(self.model.decoder_norm(x))
        return F.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def _layer(
        self, index: int, x: Tensor, state: StateView, shape: StepShape, watched: list[Tensor] | None
    ) -> Tensor:
        """One decoder layer [R, D] -> [R, D]."""
        layer = self._layers[index]
        targets, sources = self._pools.targets[index], self._pools.sources[index]
        ends = targets.shape[-2:]

        def attend_self(y: Tensor) -> Tensor:
            query, key, value = self.weights.self_attention[index](y).view(-1, 3, *ends).unbind(1)
            targets[0][state.place, state.length] = key
            targets[1][state.place, state.length] = value
            heads = self.attend.to_target(query, targets, state, shape)
            return cast(Tensor, layer.self_attention.output(heads.flatten(1)))

        def attend_source(y: Tensor) -> Tensor:
            query = layer.cross_attention.query(y).view(-1, *ends)
            if watched is not None:
                watched.append(source_weights(query, sources, state, shape))
            heads = self.attend.to_source(query, sources, state, shape)
            return cast(Tensor, layer.cross_attention.output(heads.flatten(1)))

        return layer.run(x, attend_self, attend_source)
