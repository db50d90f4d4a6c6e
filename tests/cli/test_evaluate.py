"""`verto evaluate`: every line against its reference, the scores with their signatures, and what was done."""

import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.line_files import LineFile
from cli.model_choice import Choice
from cli.offline import OfflineTranslator
from cli.test_set import labelled, read_parallel, read_tsv
from model.decoding import DecodingOptions
from service.engine.errors import StepFailed
from service.settings import Settings
from tests.cli.conftest import Ended, Verto
from tests.fakes import FakeEngine
from training.evaluation import score
from training.scoring import Scorer
from training.test_set import TestSet

SENTENCES = [
    "The cat sat on the mat.",
    "Where is the nearest station? It is late.",
    "It is raining today, and it was raining yesterday.",
]


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    """Source and reference are equal, so that the identity is a perfect model."""
    path = tmp_path / "test.tsv"
    path.write_text("".join(f"{text}\t{text}\n" for text in SENTENCES))
    return path


def evaluate(verto: Verto, *arguments: object) -> Ended:
    return verto("evaluate", "en-de", *arguments)


def report(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    return dict(json.loads(ended.text))


def test_a_perfect_model_scores_a_hundred_with_all_signatures(
    verto: Verto, engine: FakeEngine, test_file: Path
) -> None:
    ended = evaluate(verto, "--test", test_file)
    expected = Scorer().corpus(SENTENCES, SENTENCES)
    assert ended.code == 0
    assert ended.text.splitlines()[:7] == [
        f"en-de 1, en-de, {test_file}, 3 sentences; strategy beam, beam_size 4, num_hypotheses 1, "
        "length_penalty 1.0, coverage_penalty 0.0, patience 1.0, diversity_groups 1, diversity_penalty 0.0, "
        "repetition_penalty 1.0, no_repeat_ngram_size 0, min_length 0, split lines",
        f"BLEU  100.00  {expected['bleu'].signature}",
        f"chrF  100.00  {expected['chrf'].signature}",
        f"TER     0.00  {expected['ter'].signature}",
        "words  sentences    BLEU    chrF   TER",
        "6-10           3  100.00  100.00  0.00",
        ended.text.splitlines()[6],
    ]
    assert ended.text.splitlines()[6].startswith("translated in ")
    assert "target tokens/s" in ended.text
    assert ended.err == ""


def test_json_says_everything(verto: Verto, engine: FakeEngine, test_file: Path) -> None:
    engine.translate = lambda text: text.replace("raining", "snowing")
    engine.finish_reason = "length"
    said = report(evaluate(verto, "--test", test_file, "--json", "--beam-size", "2", "--split", "sentences"))
    expected = score([text.replace("raining", "snowing") for text in SENTENCES], SENTENCES)
    assert said["bleu"] == expected.bleu < 100
    assert said["chrf"] == expected.chrf < 100
    assert said["sentences"] == said["cut_at_length_limit"] == 3
    assert said["decoding"] == DecodingOptions(beam_size=2).to_dict()
    assert (said["model"], said["source"], said["target"], said["split"]) == (
        "en-de",
        "en",
        "de",
        "sentences",
    )
    assert len(engine.requests) == 4
    assert isinstance(said["target_tokens_per_second"], float)


def test_by_default_a_line_is_translated_as_a_whole(
    verto: Verto, engine: FakeEngine, test_file: Path
) -> None:
    report(evaluate(verto, "--test", test_file, "--json"))
    assert len(engine.requests) == 3


def test_columns_and_limit_choose_what_is_tested(verto: Verto, engine: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "test.tsv.gz"
    lines = [f"id{index}\t{text}\tnote\t{text.upper()}" for index, text in enumerate(SENTENCES)]
    path.write_bytes(gzip.compress("\r\n".join([*lines, "too short"]).encode()))
    engine.translate = str.lower
    said = report(evaluate(verto, "--test", path, "--columns", "4,2", "--limit", "2", "--json"))
    lower = [text.lower() for text in SENTENCES[:2]]
    assert (said["sentences"], said["bleu"]) == (2, score(lower, SENTENCES[:2]).bleu)


def test_line_ends_of_another_system_belong_to_no_column(tmp_path: Path) -> None:
    for name, content in {"tsv": "one\teins\r\n", "en": "one\r\n", "de": "eins\r\n"}.items():
        (tmp_path / name).write_bytes(content.encode())
    tsv, source, reference = (LineFile(tmp_path / name) for name in ("tsv", "en", "de"))
    for test_set in (read_tsv(tsv, (1, 2), None), read_parallel(source, reference, None)):
        assert (test_set.sources, test_set.references) == (["one"], ["eins"])


def test_two_files_are_read_side_by_side_and_translations_saved(
    verto: Verto, engine: FakeEngine, tmp_path: Path
) -> None:
    (tmp_path / "en").write_text("one\ntwo\n")
    (tmp_path / "de").write_text("eins\nzwei\n")
    engine.translate = {"one": "eins", "two": "drei\nvier"}.__getitem__
    files = ("--source-file", tmp_path / "en", "--reference-file", tmp_path / "de")
    said = report(evaluate(verto, *files, "--save-translations", tmp_path / "out.gz", "--json"))
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == b"eins\ndrei vier\n"
    assert said["test"] == [str(tmp_path / "en"), str(tmp_path / "de")]
    assert said["bleu"] == score(["eins", "drei vier"], ["eins", "zwei"]).bleu


def test_a_terminal_gets_a_table_with_whole_signatures(
    verto: Verto, engine: FakeEngine, test_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.evaluate._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "70")
    ended = evaluate(verto, "--test", test_file)
    assert ended.code == 0
    assert "│ BLEU   │ 100.00 │" in ended.text
    squeezed = "".join(ended.text.split()).replace("│", "")
    assert score(SENTENCES, SENTENCES).bleu_signature in squeezed
    assert "sentences/s" in ended.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --test, or --source-file and --reference-file"),
        (["--source-file", "en"], "give --test, or --source-file and --reference-file"),
        (["--source-file", "en", "--reference-file", "en", "--source-file", "en"], "give --test, or"),
        (["--test", "good.tsv", "--columns", "1,2", "--columns", "1,2"], "each of the 1 --test, got 2"),
        (["--source-file", "en", "--reference-file", "en", "--columns", "2,1"], "needs a --test"),
        (["--test", "none.tsv"], "none.tsv: No such file or directory"),
        (["--test", "empty.tsv"], "empty.tsv: has no lines"),
        (["--test", "short.tsv"], "short.tsv: line 2: 1 columns, column 2 is needed"),
        (["--test", "bad.tsv"], "bad.tsv: line 1, byte 5 (0xff): not UTF-8"),
        (["--test", "good.tsv", "--columns", "0,1"], "two numbers from 1, such as 1,2, got '0,1'"),
        (["--test", "good.tsv", "--columns", "1"], "two numbers from 1, such as 1,2, got '1'"),
        (["--test", "good.tsv", "--limit", "0"], "Invalid value for '--limit'"),
        (["--test", "good.tsv", "--metrics", "bleu,meteor"], "some of bleu,chrf,ter, with commas"),
        (["--test", "good.tsv", "--metrics", ""], "some of bleu,chrf,ter, with commas"),
        (["--test", "good.tsv", "--length-buckets", "5,5"], "ascending numbers from 1, such as 5,10,20"),
        (["--test", "good.tsv", "--length-buckets", "a"], "ascending numbers from 1, such as 5,10,20"),
        (["--test", "good.tsv", "--bootstrap-samples", "9"], "Invalid value for '--bootstrap-samples'"),
        (["--test", "good.tsv", "--bootstrap-samples", "200"], "needs a --baseline"),
        (["--source-file", "en", "--reference-file", "short"], "short: ends before line 2"),
        (["--source-file", "short", "--reference-file", "en"], "short: ends before line 2"),
        (["--test", "good.tsv", "--beam-size", "40"], "beam_size must be in 1..32, got 40"),
        (["--test", "good.tsv", "--save-translations", "no/out"], "no/out: its folder does not exist"),
        (["--test", "good.tsv", "--save-translations", "good.tsv"], "good.tsv: is both input and output"),
        (["--test", "good.tsv", "--report", "no/out"], "no/out: its folder does not exist"),
        (["--test", "good.tsv", "--report", "good.tsv"], "good.tsv: is both input and output"),
        (["--test", "good.tsv", "--report", "a", "--save-translations", "a"], "the file of another output"),
        (["--test", "good.tsv", "--test", "good.tsv", "--save-translations", "a"], "--translations-dir"),
        (["--test", "good.tsv", "--baseline", "x", "--save-translations", "a"], "--translations-dir"),
        (["--test", "good.tsv", "--translations-dir", "no"], "its folder does not exist"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_translated(
    verto: Verto,
    engine: FakeEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    files = {
        "good.tsv": b"one\teins\n",
        "empty.tsv": b"",
        "short.tsv": b"one\teins\ntwo\n",
        "bad.tsv": b"one\t\xff\n",
        "en": b"one\ntwo\n",
        "short": b"eins\n",
    }
    for name, content in files.items():
        Path(name).write_bytes(content)
    ended = evaluate(verto, *arguments)
    assert (ended.code, ended.out, engine.requests) == (2, b"", [])
    assert message in ended.err
    assert Path("good.tsv").read_bytes() == files["good.tsv"]


def test_without_the_training_packages_it_says_what_to_install(
    verto: Verto, engine: FakeEngine, test_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("scoring", "significance", "evaluation_scores"):
        monkeypatch.delitem(sys.modules, f"training.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    ended = evaluate(verto, "--test", test_file)
    assert (ended.code, ended.out, engine.requests) == (2, b"", [])
    assert ended.err == "verto: evaluate needs sacrebleu: pip install 'verto[training]'\n"


def test_a_failing_engine_is_told_and_no_translations_are_saved(
    verto: Verto, engine: FakeEngine, test_file: Path, tmp_path: Path
) -> None:
    engine.fail = StepFailed("out of memory")
    ended = evaluate(verto, "--test", test_file, "--save-translations", tmp_path / "out.txt")
    assert (ended.code, ended.out) == (1, b"")
    assert ended.err.startswith(f"verto: {test_file}: line 1: ")
    assert not (tmp_path / "out.txt").exists()


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


def test_help_has_examples(verto: Verto) -> None:
    ended = verto("evaluate", "--help")
    assert ended.code == 0
    assert "verto evaluate checkpoints/en-de --test test.tsv.gz" in ended.text
