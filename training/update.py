"""One update: batches, losses, gradients, clipping, the optimiser's step.

Knows: the network's weights, how they are computed with (precision, compiled, over several processes), the
optimiser. Must not know: files, epochs, when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from model.devices import set_up
from model.transformer import Transformer
from training.batching import Batch
from training.config import TrainingConfig
from training.distributed import World, gathering
from training.errors import TrainingDiverged
from training.loss import smoothed_cross_entropy
from training.packed_pass import PackedPass, packs
from training.r_drop import r_drop_loss
from training.run_config import OptimizerConfig
from training.schedule import learning_rate
from training.stream import Place, Share


@dataclass(frozen=True)
class Update:
    """What one update was, over all processes."""

    loss: float  # label-smoothed cross-entropy, nats per target token
    norm: float  # of the gradient, before clipping
    rate: float  # of learning
    tokens: int  # target tokens


class Learner:
    """A network and its optimiser. `network` is the plain module: what is saved, scored and bundled."""

    def __init__(
        self, config: TrainingConfig, network: nn.Module, pad_id: int, device: torch.device, world: World
    ) -> None:
        self.config, self.pad_id, self.device, self.world = config, pad_id, device, world
        set_up(device)
        self.network = network.to(device)
        self.optimizer = build_optimizer(config.optimizer, self.network)
        self._packs = packs(self.network, device) and not config.compile
        computed = self.network  # what computes has the same parameters
        if self._packs:
            computed = PackedPass(cast(Transformer, self.network))
        elif config.compile:
            computed = cast(nn.Module, torch.compile(self.network, dynamic=True))
        self._computed = world.in_step(computed, device)

    def update(self, step: int, share: Share, meanwhile: Callable[[], object] = lambda: None) -> Update:
        """Make step 1, 2, ... Raises `TrainingDiverged` before the weights are touched.

        `meanwhile` is called once when a GPU has all of its work and is not waited for yet.
        """
        tokens = self.world.total(share.num_target_tokens)
        self._start(step)
        part = self.world.sum(self._backward(share, tokens))
        result = torch.stack((part, self._clip()))
        meanwhile()
        loss, norm = result.tolist()  # the one time that a step waits for a GPU
        self._check_finite(step, loss, norm)
        self.optimizer.step()
        return Update(loss, norm, self.optimizer.param_groups[0]["lr"], tokens)

    def _start(self, step: int) -> None:
        rate = learning_rate(step, self.config.optimizer, self.config.max_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)

    def _backward(self, share: Share, tokens: int) -> Tensor:
        """Gradients of the mean loss over the step's `tokens`; this process's part of that loss.

        Each process's gradients are of its part times their number, since their mean is taken.
        """
        total = torch.zeros((), device=self.device)
        for index, (place, batch) in enumerate(share.batches):
            last = index + 1 == len(share.batches)
            with nullcontext() if last else gathering(self._computed):
                loss, shown = self._loss(place, batch.to(self.device))
                weight = batch.num_target_tokens / tokens
                torch.autograd.backward(loss * (weight * self.world.size))
            total += shown.detach() * weight
        return total

    def _loss(self, place: Place, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch's loss, and what the log shows of it: means over its target tokens."""
        torch.manual_seed(place.seed(self.config.seed))  # dropout, whichever process and start this is
        settings = self.config.optimizer
        if settings.r_drop:
            logits, wanted = self._logits(batch, 2)
            return r_drop_loss(logits, wanted, self.pad_id, settings.label_smoothing, settings.r_drop)
        logits, wanted = self._logits(batch, 1)
        loss = smoothed_cross_entropy(logits, wanted, self.pad_id, settings.label_smoothing)
        return loss, loss

    def _logits(self, batch: Batch, passes: int) -> tuple[Tensor, Tensor]:
        """[passes x B, T, V], every pass with its own dropout, and the ids wanted there [B, T].

        Of a packed pass: [passes x N, V] and [N], real positions alone.
        """
        inputs = [batch.source_ids, batch.source_mask, batch.target_input]
        wanted = batch.target_output
        if self._packs:
            real = wanted != self.pad_id
            inputs, wanted = [*inputs, real], wanted[real]
        if passes > 1:
            inputs = [one.repeat(passes, 1) for one in inputs]
        with self.precision():
            logits: Tensor = self._computed(*inputs)
        return logits, wanted

    def precision(self) -> AbstractContextManager[object]:
        """The context that the network computes in."""
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _clip(self) -> Tensor:
        """Scale a gradient that is too long; its length before."""
        return torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimizer.clip_norm)

    def _check_finite(self, step: int, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        rate = self.config.optimizer.peak_learning_rate
        raise TrainingDiverged(
            f"step {step}: loss {loss}, gradient norm {norm}; the saved state is sound; "
            f"lower optimizer.peak_learning_rate (now {rate}) or raise warmup_steps, and resume"
        )


def build_optimizer(settings: OptimizerConfig, network: nn.Module) -> torch.optim.Optimizer:
    """Adam with the paper's betas and epsilon by default (section 5.3)."""
    return torch.optim.Adam(
        network.parameters(),
        lr=settings.peak_learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,
    )
