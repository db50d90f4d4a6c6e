"""Which ways a device takes: the fused ones where they are proven to find what the plain ones do.

Knows: both, random states. Must not know: networks, searches. A kernel that cannot be compiled on a device,
or answers otherwise there, is not taken, and that is logged: there is another way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.cuda.attend import Attend
from model.cuda.between import Between
from model.cuda.finish import Finish
from model.cuda.proven import chosen
from model.cuda.shapes import StepShape, at_least
from model.cuda.state import Pools, StateView, StepState
from model.cuda.ways import Ways, plain_ways
from model.cuda.weights import LINE
from model.embeddings import Embedding

ROWS, SEGMENTS, WIDTH = 6, 3, 2
TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
FINISH_TOLERANCE = 1e-4  # sums are of float32 there, and tokens are to be the same


def choose_ways(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Ways:
    """The fused ones on a GPU; the plain ones elsewhere, in float64, and where a fused one is not right."""
    plain = plain_ways(config, device)
    if device.type != "cuda" or dtype == torch.float64:  # the kernels add up in float32
        return plain
    trial = Trial(config, device, dtype)

    def attend() -> Attend:
        from model.cuda.attend_kernels import FusedAttend

        return FusedAttend()

    def between() -> Between:
        from model.cuda.between_kernels import FusedBetween

        return FusedBetween()

    def finish() -> Finish:
        from model.cuda.finish_kernels import FusedFinish

        return FusedFinish(config)

    return Ways(
        chosen("attention", plain.attend, attend, trial.attend, TOLERANCE[dtype]),
        chosen("what stands between products", plain.between, between, trial.between, TOLERANCE[dtype]),
        chosen("the end of a step", plain.finish, finish, trial.finish, FINISH_TOLERANCE),
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """How far two ways lie apart, on random numbers: the largest difference of what they answer and leave."""

    config: ModelConfig
    device: torch.device
    dtype: torch.dtype

    def attend(self, one: Attend, other: Attend) -> float:
        generator = _chance()
        view, shape = self._view(generator), self._shape()
        pools = Pools(self.config, 2 * ROWS, self.dtype, self.device)
        view.ancestors.scatter_(1, view.length[:, None], view.place[:, None].int())
        heads = pools.targets.shape[-2:]
        new = self._random(generator, shape.rows, 3, *heads)
        pools.targets[0].copy_(self._random(generator, *pools.targets[0].shape))
        pools.sources[0].copy_(self._random(generator, *pools.sources[0].shape))
        found = []
        for way in (one, other):
            targets, sources = pools.targets[0].clone(), pools.sources[0]
            answers = way.to_target(new, targets, view, shape), way.to_source(new[:, 0], sources, view, shape)
            found.append([*(answer[:ROWS] for answer in answers), targets[:, :ROWS]])
        return _distance(*found)

    @torch.no_grad()
    def between(self, one: Between, other: Between) -> float:
        generator, config = _chance(), self.config
        tokens = nn.Embedding(config.target_vocab_size, config.d_model)
        embedding = Embedding(config, tokens, config.max_target_length).eval()
        norm = nn.LayerNorm(config.d_model)
        for parameter in (norm.weight, norm.bias):
            nn.init.normal_(parameter, generator=generator)
        modules: tuple[nn.Module, ...] = (embedding, norm)
        for module in modules:
            module.to(self.device, self.dtype)
        x, y = (self._random(generator, at_least(ROWS), config.d_model) for _ in range(2))
        view, found = self._view(generator), []
        for way in (one, other):
            own = _copied(view)
            found.append(
                [way.embed(embedding, own)[:ROWS], own.ancestors[:ROWS], *way.add_and_norm(x, y, norm)]
            )
        return _distance(*found)

    def finish(self, one: Finish, other: Finish) -> float:
        """Beams that end, rows that hold too little to end, one that no beam is on."""
        generator, config, view = _chance(), self.config, self._view(_chance())
        line = config.target_vocab_size + -config.target_vocab_size % LINE
        logits = 3 * self._random(generator, len(view.token), line)[:, : config.target_vocab_size]
        logits[::2, config.eos_id] = logits[::2].amax(1)
        view.total[1] = float("-inf")
        found = []
        for way in (one, other):
            own = _copied(view)
            way(logits, own, WIDTH)
            left = [own.token, own.total, own.length, own.ancestors, *own.record[0]]
            found.append([*(field[:ROWS] for field in left), own.counter])
        return _distance(*found)

    def _shape(self) -> StepShape:
        longest = (self.config.max_target_length, self.config.max_source_length)
        return StepShape(at_least(ROWS), at_least(SEGMENTS), WIDTH, *longest)

    def _random(self, generator: torch.Generator, *size: int) -> Tensor:
        return torch.randn(size, generator=generator).to(self.device, self.dtype)

    def _view(self, generator: torch.Generator) -> StateView:
        """A state of 6 rows in 3 segments, one of them at its last position; two more are nobody's. What rows
        wrote before lies elsewhere than what they write now."""
        longest = (self.config.max_target_length, self.config.max_source_length)
        view = StepState(self.config, ROWS, 1, self.device).view(self._shape())

        def numbers(like: Tensor, most: int) -> Tensor:
            return torch.randint(0, most, like.shape, generator=generator).to(like)

        rows, nobody = torch.arange(len(view.segment), device=self.device), len(view.source) - 1
        is_idle, length = rows >= ROWS, numbers(view.length, longest[0])
        length[0] = longest[0] - 1
        return replace(
            view,
            token=numbers(view.token, self.config.target_vocab_size),
            length=length,
            place=(ROWS + rows).clamp(max=2 * ROWS),
            segment=torch.where(is_idle, nobody, rows // WIDTH),
            member=torch.where(is_idle, 0, rows % WIDTH),
            least=torch.where(rows % 3 == 0, length + 1, 0),
            total=-torch.rand(len(rows), generator=generator, dtype=torch.float64).to(self.device),
            source=numbers(view.source, ROWS),
            source_length=1 + numbers(view.source_length, longest[1]),
            width=torch.full_like(view.width, WIDTH),
            ancestors=numbers(view.ancestors, ROWS),
        )


def _chance() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _copied(view: StateView) -> StateView:
    """A step changes its state."""
    return StateView(*(getattr(view, field.name).clone() for field in fields(view)))


def _distance(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest difference; of a network's own numbers above 1, as a share of them, since those are as
    coarse as they are large. Equal ones, infinite ones too, have none."""
    return float(torch.stack([_gap(*pair) for pair in zip(found, expected, strict=True)]).max())


def _gap(found: Tensor, expected: Tensor) -> Tensor:
    one, other = found.double(), expected.double()
    size = other.abs().clamp(min=1) if expected.dtype in TOLERANCE else 1
    return torch.where(one == other, 0.0, (one - other).abs() / size).max()
