"""What is left of a baseline's run: its scores, beside the snapshots in the run's folder.

Knows: how a run went, in numbers. Must not know: weights; a bundle is not written, since no server loads it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from training.files import write_atomically
from training.model_card import Outcome

SCORES_FILE = "scores.json"


def write_scores(run_folder: Path, outcome: Outcome) -> Path:
    """Write `run_folder`/scores.json, replacing an older one; returns its path."""
    progress = outcome.progress
    values = {
        "name": outcome.config.name,
        "baseline": outcome.config.to_dict()["baseline"],
        "parameters": outcome.num_parameters,
        "averaged_snapshots": outcome.num_averaged,
        "steps": progress.step,
        "epochs": progress.epoch,
        "target_tokens": progress.target_tokens,
        "step_seconds": progress.seconds,
        "decoding": outcome.config.decoding_options().to_dict(),
        "scores": {
            name: {"sentences": sentences, **asdict(scores)} for name, sentences, scores in outcome.scores
        },
    }
    path = run_folder / SCORES_FILE
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())
    return path
