"""A GRU encoder-decoder with additive attention: what the Transformer replaced (Bahdanau, Cho, Bengio 2015).

Knows: the equations of the paper's appendix A. Must not know: how it is trained, searches, text.
Differences from the paper: what can be computed for the whole target at once is (the decoder's gates from
known target tokens, and the output layer after the loop), which changes no number and gives the network its
best speed; dropout on token vectors and on what the output reads; the output looks at the new state, as
equation 4 says and later systems do, and its matrix may be the target's embedding table.
Shapes: B sentences, S source, T target, R rows, N hidden width, A attention width (= N), E embedding width,
V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model.config import ModelConfig
from training.baselines.config import GruBaseline


@dataclass(frozen=True, slots=True)
class Memory:
    """An encoded source, and the decoder's state before its first token."""

    states: Tensor  # [B, S, 2N]
    keys: Tensor  # [B, S, A], the states as attention compares them
    mask: Tensor  # [B, S], True: a real token
    first: Tensor  # [B, N]

    def of_rows(self, segment_of_row: Tensor) -> Memory:
        """What each row [R] reads, where several read one source."""
        return Memory(*(part[segment_of_row] for part in (self.states, self.keys, self.mask, self.first)))


class AdditiveAttention(nn.Module):
    """a(s, h_j) = v^T tanh(W s + U h_j), and the weighted mean of the h_j (appendix A.1.2)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key = nn.Linear(2 * hidden_size, hidden_size)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """`state` [B, N] -> context [B, 2N], weights [B, S]; padding has weight 0."""
        energy = torch.tanh(self.query(state)[:, None] + memory.keys)
        scores = self.score(energy).squeeze(-1).float().masked_fill(~memory.mask, float("-inf"))
        weights = torch.softmax(scores, -1)
        context = torch.bmm(weights.to(memory.states.dtype)[:, None], memory.states).squeeze(1)
        return context, weights


class RecurrentDecoder(nn.Module):
    """s_t = GRU(s_(t-1), [y_(t-1), c_t]) and the readout of s_t, y_(t-1) and c_t (appendix A.2.2)."""

    def __init__(self, embedding_size: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.attention = AdditiveAttention(hidden_size)
        self.from_token = nn.Linear(embedding_size, 3 * hidden_size)
        self.from_context = nn.Linear(2 * hidden_size, 3 * hidden_size, bias=False)
        self.from_state = nn.Linear(hidden_size, 3 * hidden_size)
        self.readout = nn.Linear(hidden_size + embedding_size + 2 * hidden_size, 2 * embedding_size)
        self.dropout = nn.Dropout(dropout)

    def advance(self, token_gates: Tensor, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """One position: `token_gates` [B, 3N], `state` [B, N] -> state, context [B, 2N], weights [B, S]."""
        context, weights = self.attention(state, memory)
        reset, update, new = (token_gates + self.from_context(context)).chunk(3, -1)
        old_reset, old_update, old = self.from_state(state).chunk(3, -1)
        reset, update = torch.sigmoid(reset + old_reset), torch.sigmoid(update + old_update)
        candidate = torch.tanh(new + reset * old)
        return candidate + update * (state - candidate), context, weights

    def read_out(self, states: Tensor, vectors: Tensor, contexts: Tensor) -> Tensor:
        """[..., N], [..., E], [..., 2N] -> [..., E]: the larger of each two (maxout, as in the paper)."""
        pieces = self.readout(torch.cat((states, vectors, contexts), -1))
        out: Tensor = self.dropout(pieces.unflatten(-1, (-1, 2)).amax(-1))
        return out


class RecurrentNetwork(nn.Module):
    """Bidirectional GRU encoder, one GRU decoder that attends to it at each position.

    Of `sizes` it takes vocabularies, special ids, lengths, shared tables and dropout.
    """

    def __init__(self, sizes: ModelConfig, settings: GruBaseline) -> None:
        super().__init__()
        self.config = sizes
        width, hidden = settings.embedding_size, settings.hidden_size
        self.source_tokens = nn.Embedding(sizes.source_vocab_size, width)
        shared = sizes.share_embeddings
        self.target_tokens = self.source_tokens if shared else nn.Embedding(sizes.target_vocab_size, width)
        self.dropout = nn.Dropout(sizes.dropout)
        self.encoder = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.first_state = nn.Linear(hidden, hidden)
        self.decoder = RecurrentDecoder(width, hidden, sizes.dropout)
        self.output = nn.Linear(width, sizes.target_vocab_size, bias=sizes.output_bias)
        if sizes.tie_output:
            self.output.weight = self.target_tokens.weight
        self._initialise()

    def _initialise(self) -> None:
        """Glorot matrices, orthogonal recurrent ones (appendix B.1), zero biases, embeddings as elsewhere."""
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                nn.init.zeros_(parameter)
            elif "weight_hh" in name or "from_state" in name:
                for gate in parameter.data.chunk(3):
                    nn.init.orthogonal_(gate)
            else:
                nn.init.xavier_uniform_(parameter)
        for table in (self.source_tokens, self.target_tokens):
            nn.init.normal_(table.weight, std=table.embedding_dim**-0.5)

    def embed(self, table: nn.Embedding, token_ids: Tensor) -> Tensor:
        """Token vectors [..., E], scaled to variance 1 as the Transformer's are, with dropout."""
        out: Tensor = self.dropout(table(token_ids) * math.sqrt(table.embedding_dim))
        return out

    def encode(self, source_ids: Tensor, source_mask: Tensor) -> Memory:
        """`source_ids` [B, S], `source_mask` [B, S] (True: a real token, none behind a padding) -> memory."""
        vectors = self.embed(self.source_tokens, source_ids)
        # Packed, so that the backward direction begins at each sentence's own last token.
        packed = pack_padded_sequence(
            vectors, source_mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.encoder(packed)[0], batch_first=True, total_length=source_ids.shape[1]
        )
        backward = states[:, 0, self.decoder.hidden_size :]  # it ends where the sentence begins
        return Memory(
            states=states,
            keys=self.decoder.attention.key(states),
            mask=source_mask,
            first=torch.tanh(self.first_state(backward)),
        )

    def decode(self, target_ids: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Teacher forcing: `target_ids` [B, T], start token first -> logits [B, T, V], weights [B, T, S]."""
        vectors = self.embed(self.target_tokens, target_ids)
        state, found = memory.first, list[tuple[Tensor, Tensor, Tensor]]()
        for token_gates in self.decoder.from_token(vectors).unbind(1):
            state, context, weights = self.decoder.advance(token_gates, state, memory)
            found.append((state, context, weights))
        states, contexts, attended = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
        return self.output(self.decoder.read_out(states, vectors, contexts)), attended

    def decode_step(self, token_ids: Tensor, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """The next position of every row: `token_ids` [R] -> logits [R, V], state [R, N], weights [R, S]."""
        vectors = self.embed(self.target_tokens, token_ids)
        state, context, weights = self.decoder.advance(self.decoder.from_token(vectors), state, memory)
        return self.output(self.decoder.read_out(state, vectors, context)), state, weights

    def forward(self, source_ids: Tensor, source_mask: Tensor, target_ids: Tensor) -> Tensor:
        """Encode, then decode with teacher forcing -> logits [B, T, V]."""
        return self.decode(target_ids, self.encode(source_ids, source_mask))[0]
