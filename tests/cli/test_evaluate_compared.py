"""`verto evaluate` of several test sets and against a baseline, and the report about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.model_choice import Choice
from cli.offline import OfflineTranslator
from cli.test_set import labelled
from service.engine.errors import StepFailed
from service.settings import Settings
from tests.cli.conftest import SENTENCES, Verto
from tests.cli.evaluations import evaluate, report
from tests.fakes import FakeEngine
from training.scoring import Scorer
from training.test_set import TestSet

TEXTS = [(["one", "two"], ["ein a b", "zwo"]), (["Ab", "Zu"], ["up", "to"]), (["x y", "z"], ["x", "z"])]


def write_texts(folder: Path) -> None:
    """Two TSV files, the second the other way round, and a pair of files: TEXTS."""
    (first, second, third) = TEXTS
    lines = [f"{source}\t{reference}\n" for source, reference in zip(*first, strict=True)]
    (folder / "a.tsv").write_text("".join(lines))
    lines = [f"{reference}\t{source}\n" for source, reference in zip(*second, strict=True)]
    (folder / "b.tsv").write_text("".join(lines))
    for name, texts in zip(("en", "de"), third, strict=True):
        (folder / name).write_text("".join(f"{text}\n" for text in texts))


@pytest.fixture
def shouting_baseline(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bundle `old` writes upper case. What is loaded, in order; one at a time."""
    import cli.offline

    loaded: list[str] = []
    make = cli.offline.offline_translator

    @contextmanager
    def by_name(choice: Choice, *others: Any) -> Iterator[OfflineTranslator]:
        loaded.append(choice.name)
        engine.translate = str.upper if choice.name == "old" else str
        with make(choice, *others) as translator:
            yield translator
        loaded.append(f"{choice.name} ended")

    monkeypatch.setattr("cli.offline.offline_translator", by_name)
    return loaded


def test_several_test_sets_are_scored_one_by_one(verto: Verto, engine: FakeEngine, tmp_path: Path) -> None:
    write_texts(tmp_path)
    tests = (
        "--test",
        tmp_path / "a.tsv",
        "--test",
        tmp_path / "b.tsv",
        "--columns",
        "1,2",
        "--columns",
        "2,1",
    )
    files = ("--source-file", tmp_path / "en", "--reference-file", tmp_path / "de")
    said = report(evaluate(verto, *tests, *files, "--json", "--limit", 2))
    names = [[str(tmp_path / name) for name in one] for one in (["a.tsv"], ["b.tsv"], ["en", "de"])]
    assert [one["test"] for one in said["tests"]] == names
    assert [one["label"].partition("/")[2] for one in said["tests"]] == ["a", "b", "en"]
    scored = [Scorer().corpus(*texts) for texts in TEXTS]
    assert [one["ter"] for one in said["tests"]] == [scores["ter"].value for scores in scored]
    assert "bleu" not in said


def test_a_baseline_is_translated_and_compared(
    verto: Verto, shouting_baseline: list[str], test_file: Path
) -> None:
    asked = ("--baseline", "old", "--bootstrap-samples", 100)
    said = report(evaluate(verto, "--test", test_file, "--json", *asked))
    assert shouting_baseline == ["en-de", "en-de ended", "old", "old ended"]
    (one,) = said["tests"]
    shouted = Scorer().corpus([text.upper() for text in SENTENCES], SENTENCES)
    assert (one["chrf"], one["baseline"]["chrf"]) == (pytest.approx(100), shouted["chrf"].value)
    assert one["comparison"]["chrf"]["difference"] == pytest.approx(100 - shouted["chrf"].value)
    assert "|bs:100|" in one["comparison"]["chrf"]["signature"]
    assert said["baseline"]["model"] == "old"
    ended = evaluate(verto, "--test", test_file, *asked)
    assert "against old 1, decoded likewise" in ended.text


def test_a_bootstrap_that_memory_would_not_hold_is_refused_before_anything_is_translated(
    verto: Verto, engine: FakeEngine, test_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.significance.MOST_DRAWS", 3_000)
    monkeypatch.setenv("COLUMNS", "200")
    asked = ("--test", test_file, "--baseline", "x", "--bootstrap-samples")
    assert evaluate(verto, *asked, 1_000).code == 0
    engine.requests.clear()
    ended = evaluate(verto, *asked, 1_001)
    assert (ended.code, engine.requests) == (2, [])
    assert "at most 1,000 for 3 sentences (0.00024 GB), got 1,001; fewer, or --limit" in ended.err


@pytest.mark.parametrize("seed", ["a", "-1", "", "1.5"])
def test_a_seed_that_sacrebleu_cannot_take_is_refused_before_anything_is_translated(
    verto: Verto, engine: FakeEngine, test_file: Path, monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", seed)
    monkeypatch.setenv("COLUMNS", "200")
    ended = evaluate(verto, "--test", test_file, "--baseline", "x")
    assert (ended.code, engine.requests) == (2, [])
    assert "SACREBLEU_SEED: must be a whole number from 0, or none: " in ended.err


@pytest.mark.parametrize("seed", ["7", "None"])
def test_a_seed_of_the_environment_is_told_in_the_signature(
    verto: Verto, engine: FakeEngine, test_file: Path, monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", seed)
    asked = ("--test", test_file, "--baseline", "x", "--bootstrap-samples", 100, "--json")
    said = report(evaluate(verto, *asked))
    assert f"|seed:{seed.lower()}|" in said["comparison"]["bleu"]["signature"].lower()


def test_a_baseline_that_is_called_alike_is_told_apart_by_its_folder(
    verto: Verto, engine: FakeEngine, test_file: Path
) -> None:
    ended = evaluate(verto, "--test", test_file, "--baseline", "en-de", "--bootstrap-samples", 100)
    assert f"against en-de 1 of {Settings().models_dir / 'en-de'}, decoded likewise" in ended.text


def test_translations_of_both_and_of_all_test_sets_go_to_a_folder(
    verto: Verto, shouting_baseline: list[str], tmp_path: Path
) -> None:
    write_texts(tmp_path)
    (tmp_path / "out").mkdir()
    tests = ("--test", tmp_path / "a.tsv", "--test", tmp_path / "b.tsv")
    asked = ("--baseline", "old", "--bootstrap-samples", 100, "--translations-dir", tmp_path / "out")
    assert evaluate(verto, *tests, *asked).code == 0
    prefix = f"{tmp_path.name}-"
    written = {path.name.removeprefix(prefix): path.read_text() for path in (tmp_path / "out").iterdir()}
    assert written == {
        "a.system.txt": "one\ntwo\n",
        "a.baseline.txt": "ONE\nTWO\n",
        "b.system.txt": "up\nto\n",
        "b.baseline.txt": "UP\nTO\n",
    }


def test_test_sets_whose_translations_would_lie_in_one_file_are_named(
    verto: Verto, test_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    tests = list[object]()
    for name in ("a/b-c.tsv", "a-b/c.tsv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(test_file.read_bytes())
        tests += ["--test", tmp_path / name]
    ended = evaluate(verto, *tests, "--translations-dir", tmp_path / "out")
    fault = "--translations-dir: would hold a/b-c and a-b/c in one file, a-b-c.system.txt; rename one of them"
    assert (ended.code, fault in " ".join(ended.err.split())) == (2, True)


def test_a_report_is_one_page_with_the_worst_sentence(
    verto: Verto, shouting_baseline: list[str], test_file: Path, tmp_path: Path
) -> None:
    asked = ("--baseline", "old", "--bootstrap-samples", 100, "--report", tmp_path / "page.html")
    ended = evaluate(verto, "--test", test_file, *asked)
    assert (ended.code, ended.err) == (0, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.endswith("</html>\n")
    assert "<mark>WHERE IS THE NEAREST STATION? IT IS LATE.</mark>" in page


def test_no_report_is_left_of_an_evaluation_that_fails(
    verto: Verto, engine: FakeEngine, test_file: Path, tmp_path: Path
) -> None:
    engine.fail = StepFailed("out of memory")
    assert evaluate(verto, "--test", test_file, "--report", tmp_path / "page.html").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [test_file.name]


def test_wanted_metrics_and_lengths_are_those_that_are_said(
    verto: Verto, engine: FakeEngine, test_file: Path
) -> None:
    asked = ("--metrics", "ter", "--length-buckets", "30", "--length-unit", "characters")
    said = report(evaluate(verto, "--test", test_file, "--json", *asked))
    assert said["length_unit"] == "characters"
    assert said["by_length"] == [
        {"from": 0, "to": 30, "sentences": 1, "ter": 0.0},
        {"from": 31, "to": None, "sentences": 2, "ter": 0.0},
    ]
    assert "bleu" not in said


def test_labels_of_test_sets_differ() -> None:
    def labels(*names: str) -> list[str]:
        return [one.label for one in labelled([TestSet((name,), ["a"], ["b"], "") for name in names])]

    assert labels("test.tsv.gz", "data/news/test.tsv", "../x") == ["test", "news/test", "x"]
    assert labels("a/b/test.tsv", "c/b/test.tsv") == ["1-b/test", "2-b/test"]
    assert labels(".hidden", "standard input") == [".hidden", "standard input"]
