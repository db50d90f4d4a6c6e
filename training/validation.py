"""A look at the dev text during a run, and what it says of going on.

Knows: scores, which is better, how long to wait for a better one. Must not know: files, weights' whereabouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from statistics import fmean

from torch import nn

from model.decoding.options import DecodingOptions
from training.config import TrainingConfig
from training.evaluation import Scores, mean_loss, score
from training.networks import translate
from training.preparation import HeldOut, PreparedData
from training.run_config import CheckpointConfig, ValidationConfig
from training.state import Progress

# An unfinished model may never say stop: so many target tokens a source token are enough to see that.
LENGTH_RATIO = 3.0


@dataclass(frozen=True)
class Look:
    """What was seen: cross-entropy in nats per target token, and scores of the translations.

    Of several directions these are the means, and `by_direction` (`en-fr`) has what was seen of each.
    """

    loss: float
    scores: Scores
    by_direction: Mapping[str, Look] = field(default_factory=dict)

    @classmethod
    def over(cls, looks: Mapping[str, Look]) -> Look:
        """The look that is the mean of these; of one it is that one."""
        if len(looks) == 1:
            return next(iter(looks.values()))
        first = next(iter(looks.values())).scores
        bleu, chrf = (fmean(getattr(one.scores, name) for one in looks.values()) for name in ("bleu", "chrf"))
        return cls(fmean(one.loss for one in looks.values()), replace(first, bleu=bleu, chrf=chrf), looks)

    def numbers(self) -> dict[str, float]:
        """What is recorded for the curves: `dev_bleu`, and of several directions `dev_bleu_en-fr` as well."""
        own = {"dev_loss": self.loss, "dev_bleu": self.scores.bleu, "dev_chrf": self.scores.chrf}
        for direction, one in self.by_direction.items():
            own |= {f"{name}_{direction}": value for name, value in one.numbers().items()}
        return own

    def line(self) -> str:
        """The same for people."""
        own = f"dev loss {self.loss:.3f}, BLEU {self.scores.bleu:.1f}, chrF {self.scores.chrf:.1f}"
        return "; ".join(
            [own, *(f"{direction} {one.line()}" for direction, one in self.by_direction.items())]
        )

    def value(self, settings: ValidationConfig) -> float:
        """Its worth by the recipe's metric: more is better."""
        values = {"chrf": self.scores.chrf, "bleu": self.scores.bleu, "loss": -self.loss}
        return values[settings.metric]


def look(
    network: nn.Module, data: PreparedData, config: TrainingConfig, precision: AbstractContextManager[object]
) -> Look:
    """Dev loss, BLEU and chrF of the weights as they are, without dropout; each direction counts as much.

    Draws no random number.
    """
    with precision:
        losses = [mean_loss(network, data.network, dev.encoded, config.batch.max_tokens) for dev in data.dev]
    scores = [_scores(network, data, dev.text, config.validation) for dev in data.dev]
    names = ["-".join(dev.text.direction) for dev in data.dev]
    return Look.over(dict(zip(names, map(Look, losses, scores), strict=True)))


def _scores(network: nn.Module, data: PreparedData, text: HeldOut, settings: ValidationConfig) -> Scores:
    options = DecodingOptions(strategy=settings.strategy, max_length_ratio=LENGTH_RATIO)
    sources, references = (side[: settings.num_sentences] for side in (text.sources, text.references))
    return score(translate(network, data.tokenizer, sources, options, signal=text.signal), references)


def compare_by(progress: Progress, settings: ValidationConfig) -> str | None:
    """From now on looks are compared by these settings. What is said, if earlier ones were by others.

    Then those count no longer: the chrF of one look and the loss of another are no better and worse.
    """
    before, now = progress.judged_by, _judged_by(settings)
    progress.judged_by = now
    if before in (None, now) or progress.best_value is None:
        return None
    progress.best_value, progress.looks_since_best, progress.best_steps = None, 0, []
    was, is_now = (", ".join(f"{name} {value}" for name, value in one.items()) for one in (before or {}, now))
    return f"looks are compared anew: they were by {was}, and are by {is_now}"


def other_dev_text(progress: Progress, now: Mapping[str, str]) -> str | None:
    """The first dev file, in words, that is not the one of the looks so far; None where all are.

    `now`: their digests. An older state does not say what they were.
    """
    for name, before in (progress.dev_sha256 or {}).items():
        if now.get(name, before) != before:
            return f"{name} has another content"
    return None


def _judged_by(settings: ValidationConfig) -> dict[str, str | int]:
    """What gives a look its value; the loss is of the whole dev text, and nothing is translated for it."""
    metric: dict[str, str | int] = {"metric": settings.metric}
    if settings.metric == "loss":
        return metric
    return metric | {"num_sentences": settings.num_sentences, "strategy": settings.strategy}


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
