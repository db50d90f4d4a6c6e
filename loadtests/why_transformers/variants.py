"""The networks that are trained: a recipe's Transformer, that less or with another part, a GRU of its size.

Knows: tasks, and the settings of a variant as `verto train --set` takes them. Must not know: any training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import training
from loadtests.why_transformers.shapes import RECURRENT, TRANSFORMER
from training.config import TrainingConfig, check_recipe
from training.recipe_text import override, read_recipe

RECIPES = Path(training.__file__).parent / "recipes"
# Half the toy's steps: late enough that the whole network has it, early enough that others have not.
SHORT = (
    "max_steps=400",
    "optimizer.warmup_steps=100",
    "optimizer.final_decay_steps=100",
    "validation.interval_steps=50",
    "validation.num_sentences=100",
)
# A fifth of the captions' steps, the rates falling over half of them as there.
SHORT_CAPTIONS = (
    "max_steps=2200",
    "optimizer.final_decay_steps=1100",
    "validation.interval_steps=200",
    "validation.num_sentences=100",
)
# Sequences of up to 24 words for the question of length.
LONG = (
    "generate={kind: digit-reversal, train_pairs: 20000, held_out_pairs: 600, min_words: 3, max_words: 24}",
    "data.max_tokens=32",
    "max_steps=800",
    "batch.max_tokens=1000",
    "optimizer.warmup_steps=150",
    "optimizer.final_decay_steps=300",
    "validation.interval_steps=200",
    "validation.num_sentences=100",
)
POST_NORM = ("model.norm=post", "model.final_norm=false")
UNSCALED = "baseline={kind: transformer, without: [attention-scale]}"


@dataclass(frozen=True, slots=True)
class Task:
    """What the variants are trained on: a recipe, its usual changes here, and a GRU of its network's size."""

    name: str
    recipe: Path
    settings: tuple[str, ...]
    gru: tuple[str, ...]
    exact: bool  # a test sentence is right or wrong; of other text only its likeness to a reference says much


def gru(longest: int, embedding_size: int, hidden_size: int) -> tuple[str, str]:
    """The settings of a recurrent network in the place of a recipe's Transformer."""
    return (
        f"model={{max_source_length: {longest}, max_target_length: {longest}, dropout: 0.0}}",
        f"baseline={{kind: gru, embedding_size: {embedding_size}, hidden_size: {hidden_size}}}",
    )


TOY = Task("toy", RECIPES / "toy.yaml", SHORT, gru(32, 64, 80), exact=True)
CAPTIONS = Task(
    "captions",
    RECIPES / "research" / "multi30k-en-de-cpu.yaml",
    SHORT_CAPTIONS,
    gru(128, 128, 160),
    exact=False,
)
TASKS = {task.name: task for task in (TOY, CAPTIONS)}


@dataclass(frozen=True, slots=True)
class Variant:
    """`says` stands in tables; `settings` are put into a task's recipe."""

    name: str
    says: str
    settings: tuple[str, ...] = ()

    def recipe(self, task: Task, *more: str) -> TrainingConfig:
        """The whole run, `more` being the task's usual changes or others. Raises `RecipeError`."""
        return check_recipe(override(read_recipe(task.recipe), [f"name={self.name}", *more, *self.settings]))


def heads(count: int) -> tuple[str, str]:
    return f"model.num_encoder_heads={count}", f"model.num_decoder_heads={count}"


def ablations(task: Task) -> tuple[Variant, ...]:
    """The whole network first. Both tasks' Transformers have 4 heads, pre-norm and sinusoidal positions."""
    return (
        Variant("whole", "the whole Transformer: 4 heads, pre-norm, sinusoidal positions"),
        Variant("heads-1", "1 head", heads(1)),
        Variant("heads-2", "2 heads", heads(2)),
        Variant("heads-8", "8 heads", heads(8)),
        Variant("no-positions", "no positions", ("baseline={kind: transformer, without: [positions]}",)),
        Variant("learned-positions", "learned positions", ("model.positions=learned",)),
        Variant("no-scale", "not divided by √d_k", (UNSCALED,)),
        Variant("heads-1-no-scale", "1 head, not divided by √d_k", (*heads(1), UNSCALED)),
        Variant("no-warmup", "no warm-up", ("optimizer.warmup_steps=1",)),
        Variant("post-norm", "post-norm (as in the paper)", POST_NORM),
        Variant("post-norm-no-warmup", "post-norm, no warm-up", (*POST_NORM, "optimizer.warmup_steps=1")),
        Variant("gru", "a GRU with attention in its place", task.gru),
    )


BY_LENGTH = (Variant("long-transformer", TRANSFORMER), Variant("long-gru", RECURRENT, TOY.gru))
