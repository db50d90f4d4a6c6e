"""The end of a run: averaged weights, scores, curves and a model card, written as one bundle.

Knows: a trained run and the bundle format's entry point. Must not know: how the weights came to be.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from model.checkpoint import save_bundle
from model.native.binding import Library
from model.transformer import Transformer
from training.baselines.outcome import write_scores
from training.config import TrainingConfig
from training.curves import CURVES_FILE, METRICS_FILE, draw_curves, kept_metrics
from training.errors import TrainingDiverged
from training.evaluation import Scores, score
from training.model_card import Outcome, model_card
from training.monitor import Monitor, read_metrics
from training.networks import as_transformer, num_parameters, translate
from training.preparation import HeldOut
from training.recipe_text import as_yaml
from training.snapshots import average_snapshots
from training.trainer import Trainer

BUNDLE = "bundle"  # in a run's folder
BUNDLE_DTYPE = torch.float16
AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


def release(trainer: Trainer, monitor: Monitor, kernels: Library | None = None) -> Path:
    """Average, score with the bundle's own decoding, write `run_folder`/bundle; an older one is replaced.

    `kernels` make the scoring faster on a CPU.
    Of a `baseline`, which no server loads, only the scores are written: `run_folder`/scores.json.
    """
    paths = trainer.kept_snapshots()[: trainer.config.checkpoint.average]
    model = averaged_model(trainer.model, paths)
    monitor.say(f"averaged {len(paths)} snapshots: {', '.join(path.stem for path in paths)}")
    outcome = Outcome(
        config=trainer.config,
        progress=trainer.progress,
        num_parameters=num_parameters(model),
        num_averaged=len(paths),
        scores=tuple(
            (text.name, len(text.pairs), score_text(trainer, model, text, monitor, kernels))
            for text in trainer.data.held_out
        ),
        cleaning=trainer.data.cleaning,
    )
    if trainer.config.baseline is not None:
        return write_scores(trainer.folder, outcome)
    folder = trainer.folder / BUNDLE
    write_bundle(folder, trainer, as_transformer(model), outcome)
    monitor.say(f"bundle written: {folder}")
    return folder


@torch.no_grad()
def averaged_model(model: AnyNetwork, paths: Sequence[Path]) -> AnyNetwork:
    """A copy with the mean weights of snapshots, rounded as the bundle will store them, in eval mode.

    Raises `ResumeError` when there is no snapshot, or when one is damaged, `TrainingDiverged` when a weight
    is too large to be stored.
    """
    weights = average_snapshots(paths)
    copied = copy.deepcopy(model).eval()
    for name, parameter in copied.named_parameters():  # shared parameters are named once, as in a snapshot
        parameter.copy_(_stored(name, weights[name]))
    return copied


def _stored(name: str, weight: Tensor) -> Tensor:
    stored, bound = weight.to(BUNDLE_DTYPE), torch.finfo(BUNDLE_DTYPE).max
    if not torch.isfinite(stored).all():
        largest = float(weight.abs().max())
        raise TrainingDiverged(
            f"weight {name} must be at most {bound:g} to be stored in a bundle, got {largest:g}; "
            "no bundle is written; train anew with a lower optimizer.peak_learning_rate or clip_norm"
        )
    return stored


def score_text(
    trainer: Trainer, model: nn.Module, text: HeldOut, monitor: Monitor, kernels: Library | None = None
) -> Scores:
    """BLEU and chrF of a whole text, decoded as the bundle will."""
    options, tokenizer = trainer.config.decoding_options(), trainer.data.tokenizer
    with monitor.counting(f"translating {text.name}", len(text.pairs)) as done:
        hypotheses = translate(model, tokenizer, text.sources, options, done, kernels, text.signal)
    found = score(hypotheses, text.references)
    monitor.say(f"{text.name}: BLEU {found.bleu:.2f}, chrF {found.chrf:.2f} ({len(text.pairs):,} sentences)")
    return found


def write_bundle(folder: Path, trainer: Trainer, model: Transformer, outcome: Outcome) -> None:
    """Everything that a server loads and a reader asks for."""
    config, metrics = trainer.config, read_metrics(trainer.folder)
    save_bundle(
        folder,
        model=model,
        tokenizer=trainer.data.tokenizer,
        info=config.bundle_info(trainer.data.signals),
        model_card=model_card(outcome),
        dtype=BUNDLE_DTYPE,
        extra_files={
            "training.yaml": as_yaml(published(config)).encode(),
            CURVES_FILE: draw_curves(metrics, config.name),
            METRICS_FILE: kept_metrics(metrics),
        },
    )


def published(config: TrainingConfig) -> dict[str, Any]:
    """Every setting, without the folders of one machine: of a file elsewhere only the name is told."""
    settings = config.to_dict()
    for text in (*settings["data"]["train"], *settings["data"]["dev"], *settings["test"]):
        for form in ("tsv", "source", "target"):
            if text[form] is not None:
                text[form] = _without_machine(text[form])
    for raw in settings["sources"]["files"].values() if settings["sources"] is not None else ():
        if raw["path"] is not None:
            raw["path"] = _without_machine(raw["path"])
    if settings["start_from"] is not None:
        settings["start_from"] = _without_machine(settings["start_from"])
    return settings


def _without_machine(path: str) -> str:
    """`corpus/train.tsv` as it is; `/home/you/train.tsv`, `~/train.tsv` and `../train.tsv` as `train.tsv`."""
    pure = PurePath(path)
    outside = pure.is_absolute() or ".." in pure.parts or pure.parts[0].startswith("~")
    return pure.name if outside else path
