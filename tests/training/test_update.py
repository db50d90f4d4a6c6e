"""One update: a step of several batches is the step of all their pairs, whatever computes it."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.training.runs import trainer
from training.batching import Batch, make_batch
from training.loss import smoothed_cross_entropy
from training.stream import Place, Share
from training.trainer import Trainer

# Twice the pairs 0..7, as one batch and as three of unequal size.
GROUPS = [[0, 1, 2, 3, 4, 5, 6, 7]], [[0, 1, 2], [3], [4, 5, 6, 7]]


def share_of(run: Trainer, groups: list[list[int]]) -> Share:
    corpus, network = run.data.train, run.data.network
    batches = [
        make_batch(corpus, torch.tensor(group).numpy(), network.pad_id, network.decoder_start_id)
        for group in groups
    ]
    return Share(tuple((Place(0, n), batch) for n, batch in enumerate(batches)), Place(0, len(groups)))


def gradients(run: Trainer) -> dict[str, Tensor]:
    return {name: one.grad.clone() for name, one in run.model.named_parameters() if one.grad is not None}


def test_a_step_of_several_batches_is_the_step_of_all_their_pairs(tmp_path: Path) -> None:
    sections: dict[str, Any] = {"model": {"dropout": 0.0}, "optimizer": {"clip_norm": 1e9}}
    whole, parts = (trainer(tmp_path / name, **sections) for name in ("whole", "parts"))
    ((_, batch),) = share_of(whole, GROUPS[0]).batches
    logits = whole.model(batch.source_ids, batch.source_mask, batch.target_input)
    loss = smoothed_cross_entropy(logits, batch.target_output, whole.data.network.pad_id, 0.1)
    one = whole.learner.update(1, share_of(whole, GROUPS[0]))
    assert one.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    many = parts.learner.update(1, share_of(parts, GROUPS[1]))
    assert many.tokens == one.tokens
    assert many.loss == pytest.approx(one.loss, rel=1e-6)
    assert many.norm == pytest.approx(one.norm, rel=1e-5)
    mine, theirs = gradients(whole), gradients(parts)
    assert mine.keys() == theirs.keys()
    for name, gradient in mine.items():
        torch.testing.assert_close(theirs[name], gradient, rtol=1e-4, atol=1e-7)


def test_each_batch_of_a_step_draws_its_own_dropout(tmp_path: Path) -> None:
    run = trainer(tmp_path, model={"dropout": 0.5})
    (_, batch), *_ = share_of(run, [[0, 1, 2]]).batches
    losses = [float(run.learner._loss(Place(0, number), batch)[0].detach()) for number in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


def test_r_drop_needs_the_passes_to_differ_and_the_log_shows_the_cross_entropy(tmp_path: Path) -> None:
    run = trainer(tmp_path, model={"dropout": 0.3}, optimizer={"r_drop": 5.0})
    (place, batch), *_ = share_of(run, [[0, 1, 2]]).batches
    loss, shown = (float(one.detach()) for one in run.learner._loss(place, batch))
    assert loss > shown > 0
    update = run.learner.update(1, share_of(run, [[0, 1, 2]]))
    assert update.loss == pytest.approx(shown)


def test_what_is_done_meanwhile_is_done_before_a_gpu_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients are there (of a GPU: asked for), the loss is not read, and the weights are as they were."""
    run, order = trainer(tmp_path), list[str]()
    before = {name: one.clone() for name, one in run.model.state_dict().items()}
    monkeypatch.setattr(run.learner, "_check_finite", lambda *_: order.append("read"))

    def meanwhile() -> None:
        order.append("meanwhile")
        assert gradients(run).keys() == dict(run.model.named_parameters()).keys()
        assert all(torch.equal(before[name], one) for name, one in run.model.state_dict().items())

    run.learner.update(1, share_of(run, [[0, 1, 2]]), meanwhile)
    assert order == ["meanwhile", "read"]


def test_a_step_makes_the_batches_of_the_next_one_before_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, max_steps=3)
    making, checking = run.stream._made, run.learner._check_finite
    made, counts = list[Place](), list[int]()

    def made_one(place: Place, pairs: NDArray[np.integer[Any]]) -> Batch:
        made.append(place)
        return making(place, pairs)

    def read(step: int, loss: float, norm: float) -> None:
        counts.append(len(made))
        checking(step, loss, norm)

    monkeypatch.setattr(run.stream, "_made", made_one)
    monkeypatch.setattr(run.learner, "_check_finite", read)
    assert run.run()
    assert counts == [2, 3, 4]


@pytest.mark.slow
def test_a_compiled_network_learns_what_the_plain_one_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that torch.compile does but the machine code, which alone would take minutes here."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    sections: dict[str, Any] = {"model": {"dropout": 0.0}, "max_steps": 3}
    plain = trainer(tmp_path / "plain", **sections)
    compiled = trainer(tmp_path / "compiled", compile=True, **sections)
    assert compiled.model is not compiled.learner._computed
    for step in range(1, 3):
        share = share_of(plain, [[step, step + 1, step + 2]])
        one, other = plain.learner.update(step, share), compiled.learner.update(step, share)
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
    assert set(compiled.model.state_dict()) == set(plain.model.state_dict())
