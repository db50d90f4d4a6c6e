"""The seam between trainer and network: what is built, and that only a Transformer becomes a bundle."""

import pytest
import torch
from torch import nn

from model.transformer import Transformer
from tests.training.runs import config, prepared
from training.networks import as_transformer, build_network, num_parameters


def test_the_seed_of_the_caller_decides_the_first_weights() -> None:
    settings = config()
    sizes = prepared(settings).network
    networks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        networks.append(build_network(settings, sizes))
    first, same, other = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert all(network.training for network in networks)


def test_a_network_gives_logits_of_the_targets_vocabulary() -> None:
    settings = config()
    sizes = prepared(settings).network
    network = build_network(settings, sizes)
    ids = torch.full((2, 3), 5)
    logits = network(ids, torch.ones(2, 3, dtype=torch.bool), ids[:, :2])
    assert logits.shape == (2, 2, sizes.target_vocab_size)


def test_shared_parameters_count_once() -> None:
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    assert num_parameters(nn.Sequential(first, second)) == 9


def test_a_network_of_another_kind_is_no_bundle() -> None:
    network = build_network(config(), prepared(config()).network)
    assert isinstance(network, Transformer)
    assert as_transformer(network) is network
    with pytest.raises(TypeError, match=r"only a whole Transformer .* not Linear"):
        as_transformer(nn.Linear(1, 1))
