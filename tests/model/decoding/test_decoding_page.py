"""What `docs/decoding.md` says of the options is what `DecodingOptions` holds them to."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from model.decoding import options as bounds
from model.decoding.coverage import LEAST
from model.decoding.options import NOT_OF, STRATEGIES, DecodingOptions, OptionError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/decoding.md").read_text(encoding="utf-8")
TABLE = PAGE.split("| option |")[1].split("\n\n")[0].splitlines()[2:]
CELLS = {row[0].strip("`"): row[1:] for row in (re.split(r"(?<!\\) \| ", line.strip("| ")) for line in TABLE)}
DEFAULTS = {field.name: field.default for field in fields(DecodingOptions)}


def test_every_option_has_a_row_in_the_order_of_the_class() -> None:
    assert list(CELLS) == list(DEFAULTS)


@pytest.mark.parametrize("name", list(DEFAULTS))
def test_a_row_says_for_which_strategies_the_option_is(name: str) -> None:
    having = [strategy for strategy in STRATEGIES if name not in NOT_OF[strategy]]
    assert CELLS[name][0] == ("all" if len(having) == 3 else ", ".join(having))


@pytest.mark.parametrize("name", list(DEFAULTS))
def test_a_row_says_the_default(name: str) -> None:
    found = re.search(r"\((.*)\)$", CELLS[name][1])
    assert found
    said = re.split("[,:]", found[1])[0].strip("`")
    assert said == ("none" if DEFAULTS[name] in (None, ()) else str(DEFAULTS[name]))


NUMBERS = {
    "beam_size": (1, bounds.MAX_BEAM_SIZE),
    "length_penalty": (0, bounds.MAX_LENGTH_PENALTY),
    "coverage_penalty": (0, bounds.MAX_COVERAGE_PENALTY),
    "temperature": (bounds.MIN_TEMPERATURE, bounds.MAX_TEMPERATURE),
    "diversity_penalty": (0, bounds.MAX_DIVERSITY_PENALTY),
    "top_k": (0, bounds.MAX_TOP_K),
    "min_p": (0, 1),
    "repetition_penalty": (bounds.MIN_REPETITION_PENALTY, bounds.MAX_REPETITION_PENALTY),
    "no_repeat_ngram_size": (0, bounds.MAX_NGRAM_SIZE),
    "min_length": (0, bounds.MAX_TOKENS),
    "max_length": (1, bounds.MAX_TOKENS),
    "max_length_ratio": (bounds.MIN_LENGTH_RATIO, bounds.MAX_LENGTH_RATIO),
}


@pytest.mark.parametrize("name", list(NUMBERS))
def test_a_row_says_the_bounds_and_beyond_them_is_refused(name: str) -> None:
    low, high = NUMBERS[name]
    assert CELLS[name][1].startswith(f"{low:g} to {high:,g} (")
    kind = "sample" if name in bounds.SAMPLE_ONLY else "beam"
    groups = {"diversity_groups": 2} if name == "diversity_penalty" else {}
    step = 1 if isinstance(DEFAULTS[name], int) or name == "max_length" else 0.001
    for value in (low - step, high + step):
        with pytest.raises(OptionError) as caught:
            DecodingOptions(strategy=kind, **{name: value}, **groups)  # type: ignore[arg-type]
        assert caught.value.field == name
    for value in (low, high):
        if name != "min_length":
            DecodingOptions(strategy=kind, **{name: value}, **groups)  # type: ignore[arg-type]


def test_other_bounds_that_the_page_names_are_those_of_the_code() -> None:
    assert CELLS["patience"][1] == f"above 0, up to {bounds.MAX_PATIENCE:g} (1.0)"
    assert CELLS["seed"][1].startswith("0 to 2⁶³ − 1 ")
    assert bounds.MAX_SEED == 2**63 - 1
    sequences = f"sequences of 1 to {bounds.MAX_PHRASE_TOKENS} tokens (none)"
    assert CELLS["banned_ids"][1] == f"up to {bounds.MAX_PHRASES:,} {sequences}"
    assert CELLS["required_ids"][1] == f"up to {bounds.MAX_REQUIRED_PHRASES} {sequences}"
    assert LEAST == 1e-10
    assert "below 10⁻¹⁰ counts as 10⁻¹⁰" in PAGE


def test_every_file_that_the_page_names_exists() -> None:
    names = set(re.findall(r"`((?:model|tests)/[\w/]+\.py)`", PAGE))
    assert len(names) >= 4
    assert [name for name in sorted(names) if not (ROOT / name).is_file()] == []
