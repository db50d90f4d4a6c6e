"""Commands on a model of several directions: the languages choose one, and what is left open is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model.checkpoint import Bundle, load_bundle, save_bundle
from model.decoding import DecodingOptions
from model.language_signals import LanguageSignals
from model.tokenizer import Tokenizer
from tests.builders import tiny_info, tiny_model, tiny_sentences, tiny_tokenizer
from tests.cli.conftest import Ended, Verto
from training.corpus import Pair, read_pairs
from training.data_config import ParallelText
from training.evaluation import score, translate_sentences
from training.run_tokenizer import extended

WAYS = (("en", "de"), ("en", "fr"), ("de", "en"))
LINES = list(tiny_sentences(6, seed=5))
GREEDY = DecodingOptions(strategy="greedy", max_length=12)
OPTIONS = ("--strategy", "greedy", "--max-length", 12, "--threads", 1, "--device", "cpu", "-q")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "tagged"
    tokenizer: Tokenizer = extended(tiny_tokenizer(), 0, (), (">>de<<", ">>fr<<", ">>en<<"))
    size = tokenizer.source_vocab_size
    token_ids = dict(zip(("de", "fr", "en"), range(size - 3, size), strict=True))
    info = tiny_info(
        name="tagged", directions=WAYS, signals=LanguageSignals(target="source_tag", token_ids=token_ids)
    )
    model = tiny_model(4, source_vocab_size=size, target_vocab_size=size, eos_scale=4.0)
    save_bundle(folder, model=model, tokenizer=tokenizer, info=info, model_card="x", dtype=torch.float32)
    return load_bundle(folder)


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sentences, which are in `lines.txt` and, with references, in `pairs.tsv` of the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\t{line}\n" for line in LINES), encoding="utf-8")
    return LINES


def expected(bundle: Bundle, source: str, target: str) -> list[str]:
    signal = bundle.info.signals.of(source, target)
    return translate_sentences(bundle.model, bundle.tokenizer, LINES, GREEDY, signal=signal)


def test_translate_tells_the_model_the_chosen_target(verto: Verto, bundle: Bundle, lines: list[str]) -> None:
    said = set()
    for source, target in WAYS:
        chosen = ("--model", bundle.path, "-s", source, "-t", target, "--split", "lines")
        ended = verto("translate", "lines.txt", *chosen, *OPTIONS, "--no-copying")
        assert ended.code == 0, ended.err
        assert ended.text.splitlines() == expected(bundle, source, target)
        said.add(ended.text)
    assert len(said) == 3, "the tags make no difference, so that nothing was seen"


def test_evaluate_scores_several_test_sets_in_the_chosen_direction(
    verto: Verto, bundle: Bundle, lines: list[str]
) -> None:
    (Path("more.tsv")).write_text("".join(f"x\t{line}\n" for line in lines[:2]), encoding="utf-8")
    tests = ("--test", "pairs.tsv", "--test", "more.tsv", "--columns", "1,2", "--columns", "2,2")
    for target in ("de", "fr"):
        chosen = ("-s", "en", "-t", target, "--metrics", "chrf", "--json", "--no-copying")
        ended = verto("evaluate", bundle.path, *tests, *chosen, *OPTIONS)
        assert ended.code == 0, ended.err
        found = json.loads(ended.text)
        texts = expected(bundle, "en", target)
        scores = [score(texts, lines).chrf, score(texts[:2], lines[:2]).chrf]
        assert [one["chrf"] for one in found["tests"]] == pytest.approx(scores)


@pytest.mark.parametrize("command", ["back-translate", "distill"])
def test_pairs_are_made_in_the_chosen_direction(
    verto: Verto, bundle: Bundle, lines: list[str], command: str
) -> None:
    chosen = ("--model", bundle.path, "-s", "en", "-t", "fr", "-o", "out.tsv")
    ended = verto("data", command, "lines.txt", *chosen, *OPTIONS)
    assert ended.code == 0, ended.err
    made = list(read_pairs(ParallelText(tsv="out.tsv"), Path.cwd()))
    assert made
    texts = dict(zip(lines, expected(bundle, "en", "fr"), strict=True))
    for source, target in made:
        written = Pair(target, source) if command == "back-translate" else Pair(source, target)
        assert texts[written.source] == written.target


@pytest.mark.parametrize(
    "command",
    [
        ("translate", "lines.txt", "--model"),
        ("data", "back-translate", "lines.txt", "-o", "out.tsv", "--model"),
        ("data", "distill", "lines.txt", "-o", "out.tsv", "--model"),
        ("evaluate", "--test", "pairs.tsv"),
    ],
    ids=["translate", "back-translate", "distill", "evaluate"],
)
def test_a_direction_that_is_left_open_is_asked_for(
    verto: Verto, bundle: Bundle, lines: list[str], command: tuple[str, ...]
) -> None:
    def called(*languages: str) -> Ended:
        return verto(*command, bundle.path, *languages, "--device", "cpu")

    for languages in ((), ("--source", "en")):
        ended = called(*languages)
        assert ended.code == 2
        assert "--source and --target are needed to choose from en-de (tagged), en-fr (tagged)" in ended.err
    ended = called("--source", "fr")
    assert ended.code == 2
    assert "no model translates fr to any other; there is en-de (tagged)" in ended.err
