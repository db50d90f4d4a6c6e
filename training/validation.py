"""A look at the dev text during a run, and what it says of going on.

Knows: scores, which is better, how long to wait for a better one. Must not know: files, weights' whereabouts.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import nn

from model.decoding.options import DecodingOptions
from training.config import TrainingConfig
from training.evaluation import Scores, mean_loss, score
from training.networks import translate
from training.preparation import PreparedData
from training.run_config import CheckpointConfig, ValidationConfig
from training.state import Progress

# An unfinished model may never say stop: so many target tokens a source token are enough to see that.
LENGTH_RATIO = 3.0


@dataclass(frozen=True)
class Look:
    """What was seen: cross-entropy in nats per target token, and scores of the translations."""

    loss: float
    scores: Scores

    def numbers(self) -> dict[str, float]:
        """What is recorded for the curves."""
        return {"dev_loss": self.loss, "dev_bleu": self.scores.bleu, "dev_chrf": self.scores.chrf}

    def line(self) -> str:
        """The same for people."""
        return f"dev loss {self.loss:.3f}, BLEU {self.scores.bleu:.1f}, chrF {self.scores.chrf:.1f}"

    def value(self, settings: ValidationConfig) -> float:
        """Its worth by the recipe's metric: more is better."""
        values = {"chrf": self.scores.chrf, "bleu": self.scores.bleu, "loss": -self.loss}
        return values[settings.metric]


def look(
    network: nn.Module, data: PreparedData, config: TrainingConfig, precision: AbstractContextManager[object]
) -> Look:
    """Dev loss, BLEU and chrF of the weights as they are, without dropout. Draws no random number."""
    settings = config.validation
    pairs = data.dev_text.pairs[: settings.num_sentences]
    options = DecodingOptions(strategy=settings.strategy, max_length_ratio=LENGTH_RATIO)
    with precision:
        loss = mean_loss(network, data.network, data.dev, config.batch.max_tokens)
    hypotheses = translate(network, data.tokenizer, [pair.source for pair in pairs], options)
    return Look(loss, score(hypotheses, [pair.target for pair in pairs]))


def remember(progress: Progress, value: float, settings: CheckpointConfig) -> bool:
    """Take a look's worth after `progress.step` steps into account; whether its weights are worth keeping."""
    better = progress.best_value is None or value > progress.best_value
    progress.best_value = value if better else progress.best_value
    progress.looks_since_best = 0 if better else progress.looks_since_best + 1
    if settings.choose == "last":
        return False
    ranked = sorted([*progress.best_steps, (value, progress.step)], reverse=True)  # of equals, the later
    progress.best_steps = ranked[: settings.keep]
    return progress.step in {step for _, step in progress.best_steps}


def waited_enough(progress: Progress, settings: ValidationConfig) -> bool:
    """Whether the last better look lies so many looks back that the run ends."""
    return settings.patience is not None and progress.looks_since_best >= settings.patience
