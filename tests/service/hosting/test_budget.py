"""Room for one more model: below a limit that was set, or in what the machine has and nobody was promised."""

from __future__ import annotations

import dataclasses

import pytest

from service.errors import InsufficientMemory
from service.hosting.budget import Budget
from service.hosting.bundle_folders import FoundBundle, MemoryNeed
from service.hosting.instances import Instance
from tests.fakes import FakeEngine, served_model
from tests.service.hosting.pretended import ROOT

MB = 1_000_000


def bundle(weights: int = 100, cache: int = 20, process: int = 0) -> FoundBundle:
    need = MemoryNeed(weights * MB, cache * MB, process * MB)
    return FoundBundle("folder", ROOT / "folder", "en-de", "2", "digest", need)


def loaded(weights: int = 100, cache: int = 20, device: str = "cpu") -> Instance:
    """Its engine has 5 bytes of its cache in use."""
    instance = Instance(1, bundle(weights, cache))
    instance.model = dataclasses.replace(served_model(FakeEngine()), device=device)
    return instance


def test_a_limit_counts_what_every_model_may_take() -> None:
    budget = Budget(360 * MB)
    held = [loaded(), Instance(2, bundle())]
    budget.check(bundle(), held)
    with pytest.raises(InsufficientMemory) as caught:
        budget.check(bundle(weights=101), held)
    (fault,) = caught.value.faults
    assert (fault.field, fault.bound) == ("folder", "a bundle that needs at most 120000000 bytes")
    assert fault.value == 121 * MB
    assert caught.value.detail.startswith(
        "en-de 2 needs 121 MB (weights 101 MB, keys and values 20 MB), and 120 MB of models_bytes_limit are "
    )


def test_a_model_that_is_given_up_first_makes_room() -> None:
    budget, held = Budget(130 * MB), [loaded()]
    with pytest.raises(InsufficientMemory, match="swap: unload_first"):
        budget.check(bundle(), held)
    budget.check(bundle(), held, given_up=held[0])
    with pytest.raises(InsufficientMemory) as caught:
        budget.check(bundle(weights=120), held, given_up=held[0])
    assert "unload_first" not in caught.value.detail, "that is what was asked for"


def test_without_a_limit_it_is_what_is_free_less_what_others_were_promised() -> None:
    loading = Instance(2, bundle(weights=30, cache=0))
    held = [loaded(cache=50), loading]
    budget = Budget(0, lambda: 200 * MB)
    assert budget.free_bytes(held) == 200 * MB - (50 * MB - 5) - 30 * MB
    budget.check(bundle(weights=100, cache=20), held)
    with pytest.raises(InsufficientMemory, match="of this machine or container are free"):
        budget.check(bundle(weights=101, cache=20), held)
    assert budget.free_bytes([loading], given_up=held[0]) == 200 * MB + 100 * MB + 5 - 30 * MB


@pytest.mark.parametrize(("available", "device"), [(None, "cpu"), (1, "cuda:0")])
def test_where_nobody_knows_what_is_free_the_engine_finds_out(available: int | None, device: str) -> None:
    budget = Budget(0, lambda: available)
    assert budget.free_bytes([loaded(device=device)]) is None
    budget.check(bundle(), [loaded(device=device)])
