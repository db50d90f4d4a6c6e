"""The network: encode once, then decode all positions in parallel, or one position at a time with a cache.

Knows: the order of the paper's figure 1 (Vaswani et al. 2017) and one weight layout for training and serving.
Must not know: text, files, strategies, requests.
Shapes: B sentences, S source, T target, R rows, D width, H heads, K head width, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import ModelConfig
from model.embeddings import Embedding
from model.kv_cache import DecoderCache, Source
from model.layers import DecoderLayer, EncoderLayer
from model.linear import Linear
from model.masks import attend_to_source, causal_mask


class Transformer(nn.Module):
    """An encoder-decoder of `ModelConfig`'s family."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        source_tokens = nn.Embedding(config.source_vocab_size, config.d_model)
        shared = config.share_embeddings
        target_tokens = source_tokens if shared else nn.Embedding(config.target_vocab_size, config.d_model)
        self.source_embedding = Embedding(config, source_tokens, config.max_source_length)
        self.target_embedding = Embedding(config, target_tokens, config.max_target_length)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_decoder_layers))
        self.encoder_norm = nn.LayerNorm(config.d_model) if config.final_norm else nn.Identity()
        self.decoder_norm = nn.LayerNorm(config.d_model) if config.final_norm else nn.Identity()
        self.output = Linear(config.d_model, config.target_vocab_size, bias=config.output_bias)
        if config.tie_output:
            self.output.weight = target_tokens.weight
        self._initialise()

    def _initialise(self) -> None:
        """Glorot matrices, zero biases, embeddings of variance 1/D (so that scaled ones have variance 1)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.tokens.weight, std=self.config.d_model**-0.5)

    def encode(self, source_ids: Tensor, source_mask: Tensor) -> Tensor:
        """`source_ids` [B, S], `source_mask` [B, S] (True: a real token) -> memory [B, S, D].

        Raises `ValueError` when S is above `max_source_length`.
        """
        num_positions = source_ids.shape[1]
        _check_length("max_source_length", self.config.max_source_length, num_positions)
        x = self.source_embedding(source_ids, torch.arange(num_positions, device=source_ids.device))
        mask = attend_to_source(source_mask)
        for layer in self.encoder:
            x = layer(x, mask)
        out: Tensor = self.encoder_norm(x)
        return out

    def decode(self, target_ids: Tensor, memory: Tensor, source_mask: Tensor) -> Tensor:
        """Teacher forcing: `target_ids` [B, T], the first being the start token -> logits [B, T, V].

        Raises `ValueError` when T is above `max_target_length`.
        """
        num_positions = target_ids.shape[1]
        _check_length("max_target_length", self.config.max_target_length, num_positions)
        x = self.target_embedding(target_ids, torch.arange(num_positions, device=target_ids.device))
        causal, source = causal_mask(num_positions, target_ids.device), attend_to_source(source_mask)
        for layer in self.decoder:
            x = layer(x, memory, causal, source)
        out: Tensor = self.output(self.decoder_norm(x))
        return out

    def forward(self, source_ids: Tensor, source_mask: Tensor, target_ids: Tensor) -> Tensor:
        """Encode, then decode with teacher forcing -> logits [B, T, V]."""
        return self.decode(target_ids, self.encode(source_ids, source_mask), source_mask)

    def start_cache(
        self,
        memory: Tensor,
        source_mask: Tensor,
        rows_per_segment: Sequence[int],
        capacity: Sequence[int] | int,
    ) -> DecoderCache:
        """A cache for new segments: cross-attention keys and values of every layer are computed here, once.

        `memory` [G, S, D] and `source_mask` [G, S] come from `encode`; `capacity` is in target positions, for
        all segments or for each. Raises `ValueError` when one is above `max_target_length`.
        """
        longest = capacity if isinstance(capacity, int) else max(capacity, default=0)
        _check_length("max_target_length", self.config.max_target_length, longest)
        projected = [layer.cross_attention.project_memory(memory) for layer in self._decoder_layers()]
        keys = torch.stack([key for key, _ in projected])
        values = torch.stack([value for _, value in projected])
        return DecoderCache(Source(keys, values, source_mask), rows_per_segment, capacity)

    def decode_step(self, token_ids: Tensor, cache: DecoderCache) -> Tensor:
        """The next position of every row: `token_ids` [R] -> logits [R, V]; the cache grows by one position.

        Raises `CacheOverflow` when a segment's reserved capacity is used up, and `ValueError` when the number
        of tokens is not that of the rows, or zero.
        """
        return self._decode_position(token_ids, cache)

    def decode_step_watched(self, token_ids: Tensor, cache: DecoderCache) -> tuple[Tensor, Tensor]:
        """As `decode_step`, and what the position attended to: [R, S], by `config.alignment_layer`'s
        cross-attention, averaged over its heads. Padding of the source has 0."""
        watched: list[Tensor] = []
        logits = self._decode_position(token_ids, cache, watched)
        return logits, watched[0]

    def _decode_position(
        self, token_ids: Tensor, cache: DecoderCache, watched: list[Tensor] | None = None
    ) -> Tensor:
        """One position; what the alignment layer attends to is appended to `watched`."""
        if not 0 < len(token_ids) == cache.num_rows:
            raise ValueError(f"{len(token_ids)} tokens for {cache.num_rows} rows")
        cache.check_room()
        x = self.target_embedding(token_ids[:, None], cache.lengths[:, None])
        aligning = self.config.alignment_layer % self.config.num_decoder_layers
        for index, layer in enumerate(self._decoder_layers()):
            x = self._step_layer(index, layer, x, cache, watched if index == aligning else None)
        cache.advance()
        out: Tensor = self.output(self.decoder_norm(x[:, 0]))
        return out

    def _decoder_layers(self) -> Iterable[DecoderLayer]:
        """The decoder, with the type that `nn.ModuleList` forgets."""
        return cast(Iterable[DecoderLayer], self.decoder)

    def _step_layer(
        self, index: int, layer: DecoderLayer, x: Tensor, cache: DecoderCache, watched: list[Tensor] | None
    ) -> Tensor:
        """One decoder layer at one position: [R, 1, D] -> [R, 1, D]."""

        def attend_self(y: Tensor) -> Tensor:
            block = layer.self_attention
            heads = cache.attend_self(index, block.project_query(y), *block.project_memory(y))
            return block.join_heads(heads)

        def attend_source(y: Tensor) -> Tensor:
            block = layer.cross_attention
            query = block.project_query(y)
            if watched is not None:
                watched.append(cache.source_weights(index, query))
            return block.join_heads(cache.attend_source(index, query))

        return layer.run(x, attend_self, attend_source)

    def num_parameters(self) -> int:
        """Trained numbers, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _check_length(field: str, limit: int, num_positions: int) -> None:
    """By shapes alone: an index past a table on a GPU would end the process, not the call."""
    if num_positions > limit:
        raise ValueError(f"{num_positions} positions are more than {field}, which is {limit}")


def next_log_probs(logits: Tensor) -> Tensor:
    """Logits [..., V] to log-probabilities in float32 (or float64 when they are)."""
    return F.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1)
