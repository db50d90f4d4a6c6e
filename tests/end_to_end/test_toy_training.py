"""From nothing to a model that works: the command trains the toy recipe, and it translates what it never saw.

About 40 seconds of one core.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from model.checkpoint import Bundle, load_bundle
from model.decoding.search import decode_batch
from tests.contracts.project import ROOT
from training.config import load_recipe
from training.corpus import Pair
from training.toy import digit_reversal

# The machine may be busy with other things; what is tested is what is learned, not how quickly.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

RECIPE = ROOT / "training" / "recipes" / "toy.yaml"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that `verto train training/recipes/toy.yaml` writes."""
    folder = tmp_path_factory.mktemp("toy")
    command = [sys.executable, "-m", "cli.main", "train", str(RECIPE), "--output", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder / 'bundle'}\n"
    return folder / "bundle"


def held_out() -> dict[str, list[Pair]]:
    settings = load_recipe(RECIPE).generate
    assert settings is not None
    return digit_reversal(settings)


def translated(bundle: Bundle, pairs: list[Pair]) -> list[str]:
    sources = [bundle.tokenizer.encode_source(pair.source) for pair in pairs]
    found = decode_batch(bundle.model, sources, bundle.info.decoding)
    return [bundle.tokenizer.decode_target(hypotheses[0].token_ids) for hypotheses in found]


def test_the_toy_model_reverses_sequences_that_it_never_saw(toy: Path) -> None:
    pairs = held_out()["test.tsv"]
    assert not {pair.source for pair in pairs} & {pair.source for pair in held_out()["train.tsv"]}
    answers = translated(load_bundle(toy), pairs)
    exact = sum(answer == pair.target for answer, pair in zip(answers, pairs, strict=True))
    assert exact >= 0.99 * len(pairs), f"{exact} of {len(pairs)}"


def test_the_command_translates_with_the_toy_model(toy: Path) -> None:
    options = ["--source", "en", "--target", "qaa", "--model", str(toy)]
    command = [sys.executable, "-m", "cli.main", "translate", *options]
    done = subprocess.run(command, cwd=ROOT, input="three one four\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "four one three\n"), done.stderr
