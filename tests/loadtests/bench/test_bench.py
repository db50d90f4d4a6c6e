"""A whole run on tiny networks, and the proof that both sides are the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.bench.__main__ import Plan, measure, report
from loadtests.bench.cells import CTRANSLATE2, GENERATE, Cell
from loadtests.bench.contestants import Contestants, DifferentNetworks, check_alike
from loadtests.bench.shapes import FORCED_LENGTH, forced_sources, random_shape
from loadtests.bench.sides import Verto
from loadtests.report import write
from loadtests.workload import made_up
from model.decoding import DecodingOptions
from model.network import EagerNetwork
from tests.builders import tiny_config

# So many tokens that a search hardly meets those that Verto never answers and its peers may.
MARIAN = {"sinusoid_layout": "halves", "tie_output": True, "source_vocab_size": 400, "target_vocab_size": 400}
PLAN = Plan(seconds=20.0, rounds=2, threads=1, library=None)


def test_a_run_measures_every_cell_and_writes_its_report(tmp_path: Path) -> None:
    shape = random_shape("opus-base", tiny_config(**MARIAN), DecodingOptions())
    cells = [
        Cell("opus-base", "forced", strategy, 2, precision, peer)
        for strategy, precision, peer in (
            ("greedy", "float32", CTRANSLATE2),
            ("beam", "int8", CTRANSLATE2),
            ("beam", "float32", GENERATE),
        )
    ]
    timed = measure({"opus-base": shape}, cells, PLAN)
    assert {one.cell for one in timed} == set(cells)
    assert timed[0].identical == 2
    write(report(timed, {}, made_up(4), PLAN), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.md", "bench.png"]
    facts = json.loads((tmp_path / "bench.json").read_text())["facts"]
    assert {"ctranslate2", "transformers", "torch", "machine", "date", "command"} <= facts.keys()


def test_sources_have_one_length_and_end_with_the_end() -> None:
    config = tiny_config()
    sources = forced_sources(config)
    assert {(len(source), source[-1]) for source in sources} == {(FORCED_LENGTH, config.eos_id)}
    assert forced_sources(config) == sources != forced_sources(config, seed=1)
    special = {config.pad_id, config.eos_id, config.decoder_start_id}
    assert not special & {number for source in sources for number in source[:-1]}


def test_different_networks_are_not_compared() -> None:
    shapes = [random_shape(f"tiny-{seed}", tiny_config(), DecodingOptions(), seed) for seed in (0, 1)]
    sides = [Verto(EagerNetwork(shape.model), shape.defaults) for shape in shapes]
    check_alike(shapes[0], Contestants(sides[0], sides[0]))
    with pytest.raises(DifferentNetworks, match="agree for 0 of 16"):
        check_alike(shapes[0], Contestants(*sides))
