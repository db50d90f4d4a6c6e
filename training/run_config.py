"""How weights are learned, looked at and kept: the sections of a recipe beside data and network.

Knows: every setting of them with its meaning, unit and bounds. Must not know: the other sections; what
depends on several stands in config.py.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from training.data_config import Section

MOST = 10**9  # of whatever is counted: far beyond any run, and safe to multiply


class BatchConfig(Section):
    max_tokens: int = Field(4096, ge=16, le=MOST, description="padded tokens of the longer side of a batch")
    pool_batches: int = Field(50, ge=1, le=MOST, description="batches that are sorted by length together")
    batches_per_update: int = Field(
        1,
        ge=1,
        le=MOST,
        description="batches whose gradients make one step, over all processes of `torchrun`",
    )


class OptimizerConfig(Section):
    peak_learning_rate: float = Field(7e-4, gt=0, le=1, description="the rate where the warm-up ends")
    warmup_steps: int = Field(
        4000, ge=1, le=MOST, description="steps of linear rise; inverse square root after them"
    )
    final_decay_steps: int = Field(
        0, ge=0, le=MOST, description="the last steps, over which the rate also falls linearly to 0"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="Adam's decay of the mean gradient")
    beta2: float = Field(0.98, ge=0, lt=1, description="Adam's decay of the mean squared gradient")
    epsilon: float = Field(1e-9, gt=0, description="Adam's guard against division by zero")
    clip_norm: float = Field(1.0, gt=0, description="a longer gradient is scaled down to this norm")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share spread over the whole vocabulary")
    r_drop: float = Field(
        0.0,
        ge=0,
        le=100,
        description="R-Drop's alpha (Liang et al. 2021 take 5): two dropouts of a batch are to agree; 0: off",
    )


class ValidationConfig(Section):
    interval_steps: int = Field(1000, ge=1, le=MOST, description="steps between two looks at the dev text")
    num_sentences: int = Field(
        1000, ge=1, le=MOST, description="dev sentences that are translated for BLEU and chrF"
    )
    strategy: Literal["greedy", "beam"] = Field("greedy", description="how they are translated")
    metric: Literal["chrf", "bleu", "loss"] = Field("chrf", description="what says which look was better")
    patience: int | None = Field(
        None, ge=1, le=MOST, description="the run ends after so many looks in a row without a better one"
    )


class CheckpointConfig(Section):
    interval_steps: int = Field(500, ge=1, le=MOST, description="steps between two saved states")
    keep: int = Field(5, ge=1, le=MOST, description="weight snapshots kept for averaging")
    average: int = Field(5, ge=1, le=MOST, description="snapshots averaged into the bundle, at most `keep`")
    choose: Literal["last", "best"] = Field(
        "last", description="the newest snapshots, or those with the best looks by `validation.metric`"
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="snapshots and looks are of a moving average of the weights with this decay; 0: off",
    )

    @model_validator(mode="after")
    def _averages_what_is_kept(self) -> CheckpointConfig:
        if self.average > self.keep:
            raise ValueError(f"average must be at most keep {self.keep}, got {self.average}")
        return self


class ModelCardConfig(Section):
    summary: str = Field("", description="what the model is for")
    data: tuple[str, ...] = Field((), description="a line per corpus: name, size, licence, attribution")
