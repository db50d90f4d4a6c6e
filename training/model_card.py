"""What a reader must know before relying on a model, as the bundle's MODEL_CARD.md.

Knows: how a run went, in numbers. Must not know: weights, files.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from training.config import TrainingConfig
from training.evaluation import Scores
from training.language_tags import language_tags
from training.state import Progress


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a model card says of a run."""

    config: TrainingConfig
    progress: Progress
    num_parameters: int
    num_averaged: int
    scores: tuple[tuple[str, int, Scores], ...]  # name of the text, its sentences, the scores; dev first
    cleaning: str


# A reader need not be told of decoding options with these values.
DOES_NOTHING = {
    "coverage_penalty": 0.0,
    "diversity_groups": 1,
    "diversity_penalty": 0.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
}


def model_card(outcome: Outcome) -> str:
    """Data, licences, scores with signatures, how the model was made; Markdown."""
    config = outcome.config
    directions = ", ".join(f"{source} to {target}" for source, target in config.directions)
    parts = (
        f"# {config.name} {config.version}: {directions}",
        config.card.summary.strip(),
        "![Loss, scores, learning rate and speed over the steps](curves.png)",
        _languages(outcome),
        _scores(outcome),
        _data(outcome),
        _training(outcome),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _scores(outcome: Outcome) -> str:
    options = outcome.config.decoding_options().to_dict().items()
    in_force = [(name, value) for name, value in options if value not in (None, DOES_NOTHING.get(name))]
    decoding = ", ".join(f"{name} {value}" for name, value in in_force)
    signatures = outcome.scores[0][2]
    rows = "\n".join(
        f"| {_in_cell(name)} | {sentences:,} | {scores.bleu:.2f} | {scores.chrf:.2f} |"
        for name, sentences, scores in outcome.scores
    )
    return f"""## Scores

| text | sentences | BLEU | chrF |
|---|---|---|---|
{rows}

- Decoding: {decoding}.
- BLEU: `{signatures.bleu_signature}`
- chrF: `{signatures.chrf_signature}`
- The weights were scored as they are stored, in 16 bits. `dev` was looked at during training."""


def _in_cell(text: str) -> str:
    """A bar would end the cell of a Markdown table."""
    return text.replace("|", "\\|")


def _languages(outcome: Outcome) -> str:
    """Nothing for one direction, which the title says."""
    if len(outcome.config.directions) == 1:
        return ""
    rows = "\n".join(f"- {source} to {target}" for source, target in outcome.config.directions)
    tags = [f"`{tag}`" for tag in language_tags(outcome.config.directions).values()]
    told = (
        f"told by {', '.join(tags)} before the source, which the server puts there"
        if tags
        else "always the same"
    )
    return f"""## Directions

{rows}

The target language is {told}."""


def _data(outcome: Outcome) -> str:
    lines = "\n".join(f"- {line}" for line in outcome.config.card.data) or "- See `training.yaml`."
    return f"""## Data, licences, attribution

{lines}

Cleaning: {outcome.cleaning}."""


def _training(outcome: Outcome) -> str:
    config, progress = outcome.config, outcome.progress
    return f"""## Training

- A Transformer of {outcome.num_parameters:,} parameters: shape in `config.json`, settings in `training.yaml`.
- {progress.step:,} steps, {progress.epoch} full epochs, {progress.target_tokens:,} target tokens, \
{progress.seconds / 3600:.2f} hours of training steps on {config.device} in {config.precision}.
- Weights: {_weights(outcome)}.
- Finished {time.strftime("%Y-%m-%d", time.gmtime())}. Command: `verto train training.yaml --data DATA`."""


def _weights(outcome: Outcome) -> str:
    """Which weights the bundle's are."""
    config, keeps = outcome.config, outcome.config.checkpoint
    if keeps.choose == "best":
        what = f"the {outcome.num_averaged} snapshots with the best dev {config.validation.metric}"
    else:
        what = f"the last {outcome.num_averaged} snapshots, taken every {keeps.interval_steps:,} steps"
    decay = f"; each a moving average with decay {keeps.ema_decay}" if keeps.ema_decay else ""
    return f"the mean of {what}{decay}"
