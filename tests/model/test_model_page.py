"""What `docs/model.md` says is so: its files exist, its numbers are counted, its programs run."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from model.config import ModelConfig
from tests.model.unwritten import unwritten

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/model.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"\.venv/bin/python - <<'END'\n(.*?)\nEND\n", PAGE, re.DOTALL)


def run(program: str) -> str:
    """What a program prints. In this process: importing torch anew would take longer than all the rest."""
    printed = io.StringIO()
    torch.manual_seed(0)
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "docs/model.md", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def test_every_file_that_the_page_names_exists() -> None:
    names = set(re.findall(r"`((?:model|tests)/[\w/]+\.py)`", PAGE))
    assert len(names) >= 9
    assert [name for name in sorted(names) if not (ROOT / name).is_file()] == []


def test_every_switch_that_the_page_names_exists() -> None:
    table = PAGE.split("| switch |")[1].split("\n\n")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    assert len(named) >= 11
    assert named <= {field.name for field in fields(ModelConfig)}


@pytest.mark.parametrize("size", ["base", "big"])
def test_the_parameter_table_is_what_is_counted(size: str) -> None:
    row = re.search(rf"\| `ModelConfig\.{size}\(37_000\)` \|(.*)\|", PAGE)
    assert row
    tokens, table, encoder, decoder, every, _ = (cell.strip() for cell in row[1].split("|"))
    model = unwritten(getattr(ModelConfig, size)(37_000))
    sides = [sum(p.numel() for p in stack.parameters()) for stack in (model.encoder, model.decoder)]
    counted = [37_000, model.source_embedding.tokens.weight.numel(), *sides, model.num_parameters()]
    assert [tokens, table, encoder, decoder, every] == [f"{number:,}" for number in counted]


def test_the_counting_program_prints_the_count_of_the_table() -> None:
    assert run(PROGRAMS[0]) == "63,082,496\n"


def test_the_cache_program_finds_the_cache_right() -> None:
    assert run(PROGRAMS[1]) == "torch.Size([2, 3, 100]) tensor(True)\n"


def test_the_translating_program_prints_one_greedy_and_three_beam_answers() -> None:
    lines = run(PROGRAMS[2]).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("[")
    scores = [float(line.split()[-1]) for line in lines[1:]]
    assert scores == sorted(scores, reverse=True)
