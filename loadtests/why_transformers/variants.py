"""The networks that are trained on the toy: its recipe's Transformer, that less or with another part, a GRU.

Knows: which settings make a variant, as `verto train --set` takes them. Must not know: how they are trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import training
from training.config import TrainingConfig, check_recipe
from training.recipe_text import override, read_recipe

TOY = Path(training.__file__).parent / "recipes" / "toy.yaml"
# Half the toy's steps: late enough that the whole network has it, early enough that others have not.
SHORT = (
    "max_steps=400",
    "optimizer.warmup_steps=100",
    "optimizer.final_decay_steps=100",
    "validation.interval_steps=50",
    "validation.num_sentences=100",
)
# Sequences of up to 24 words for the question of length.
LONG = (
    "generate={kind: digit-reversal, train_pairs: 20000, held_out_pairs: 600, min_words: 3, max_words: 24}",
    "data.max_tokens=32",
    "max_steps=1200",
    "batch.max_tokens=1000",
    "optimizer.warmup_steps=150",
    "optimizer.final_decay_steps=400",
    "validation.interval_steps=200",
    "validation.num_sentences=100",
)
POST_NORM = ("model.norm=post", "model.final_norm=false")
# As many parameters as the toy's Transformer.
GRU = (
    "model={max_source_length: 32, max_target_length: 32, dropout: 0.0}",
    "baseline={kind: gru, embedding_size: 64, hidden_size: 80}",
)


def heads(count: int) -> tuple[str, str]:
    return f"model.num_encoder_heads={count}", f"model.num_decoder_heads={count}"


@dataclass(frozen=True, slots=True)
class Variant:
    """`says` stands in tables; `settings` are put into the toy's recipe."""

    name: str
    says: str
    settings: tuple[str, ...] = ()

    def recipe(self, *more: str) -> TrainingConfig:
        """The whole run. Raises `RecipeError`."""
        return check_recipe(override(read_recipe(TOY), [f"name={self.name}", *more, *self.settings]))


WHOLE = Variant("whole", "the toy's Transformer: 4 heads, pre-norm, sinusoidal positions")
ABLATIONS = (
    WHOLE,
    Variant("heads-1", "1 head", heads(1)),
    Variant("heads-2", "2 heads", heads(2)),
    Variant("heads-8", "8 heads", heads(8)),
    Variant("no-positions", "no positions", ("baseline={kind: transformer, without: [positions]}",)),
    Variant("learned-positions", "learned positions", ("model.positions=learned",)),
    Variant("no-scale", "not divided by √d_k", ("baseline={kind: transformer, without: [attention-scale]}",)),
    Variant(
        "heads-1-no-scale",
        "1 head, not divided by √d_k",
        (*heads(1), "baseline={kind: transformer, without: [attention-scale]}"),
    ),
    Variant("no-warmup", "no warm-up", ("optimizer.warmup_steps=1",)),
    Variant("post-norm", "post-norm (as in the paper)", POST_NORM),
    Variant("post-norm-no-warmup", "post-norm, no warm-up", (*POST_NORM, "optimizer.warmup_steps=1")),
    Variant("gru", "a GRU with attention in its place", GRU),
)
BY_LENGTH = (Variant("long-transformer", "Transformer"), Variant("long-gru", "GRU with attention", GRU))
