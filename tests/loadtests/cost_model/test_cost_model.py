"""Steps of a tiny network are measured, fitted and reported."""

from __future__ import annotations

import json
from pathlib import Path

from loadtests.cost_model.__main__ import Grid, measure
from loadtests.cost_model.report import bends_table, coefficients_table, encodings_table, picture, to_json
from loadtests.report import Report, write
from model.config import ModelConfig
from model.network import EagerNetwork, Network
from model.transformer import Transformer
from tests.builders import tiny_config

GRID = Grid((1, 4), (3, 8), (5,), (30, 60), ((1, 5), (4, 5)))


def eager(config: ModelConfig) -> Network:
    return EagerNetwork(Transformer(config).eval())


def test_every_size_is_measured_and_reported(tmp_path: Path) -> None:
    done: list[None] = []
    measured = measure(eager, tiny_config(), GRID, lambda: done.append(None))
    assert len(done) == GRID.size == 4
    sizes = {(one.rows, one.target, one.source, one.vocabulary) for one in measured.points}
    assert sizes == {(r, t, 5, v) for r in (1, 4) for t in (3, 8) for v in (30, 60)}
    assert all(one.seconds > 0 for one in measured.points)
    assert [tokens for tokens, _ in measured.encodings] == [5, 20]
    found = {"float32": measured}
    tables = [coefficients_table(found), bends_table(found), encodings_table(found)]
    pictures = {"cost-model.png": picture(found, rows=4, target=8, source=5, vocabulary=60)}
    write(Report("cost-model", "Cost", {}, tables, to_json(found), (), pictures), tmp_path)
    data = json.loads((tmp_path / "cost-model.json").read_text())["float32"]
    assert set(data["coefficients"]) == set("abcdef")
    assert len(data["points"]) == 8
    assert (tmp_path / "cost-model.png").read_bytes().startswith(b"\x89PNG")
