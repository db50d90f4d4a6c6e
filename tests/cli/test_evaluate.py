"""`verto evaluate`: every line against its reference, the scores with their signatures, and what was done."""

import gzip
import sys
from pathlib import Path

import pytest
import sacrebleu

from cli.line_files import LineFile
from cli.main import main
from cli.test_set import read_parallel, read_tsv
from model.decoding import DecodingOptions
from service.engine.errors import StepFailed
from tests.cli.conftest import SENTENCES, Verto
from tests.cli.evaluations import evaluate, report
from tests.fakes import FakeEngine
from training.evaluation import score
from training.scoring import Scorer

PEERS = {"bleu": sacrebleu.BLEU(), "chrf": sacrebleu.CHRF(), "ter": sacrebleu.TER()}


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
    assert (said["precision"], said["device"]) == ("float32", "cpu")
    assert len(engine.requests) == 4
    assert isinstance(said["target_tokens_per_second"], float)


def test_what_was_not_copied_is_said(verto: Verto, test_file: Path) -> None:
    assert report(evaluate(verto, "--test", test_file, "--json"))["copying"] is True
    assert report(evaluate(verto, "--test", test_file, "--json", "--no-copying"))["copying"] is False
    assert ", nothing copied" in evaluate(verto, "--test", test_file, "--no-copying").text.splitlines()[0]


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


def test_a_byte_order_mark_belongs_to_no_column(tmp_path: Path) -> None:
    for name, content in {"tsv": "one\teins\n", "en": "one\n", "de": "eins\n"}.items():
        (tmp_path / name).write_bytes(content.encode("utf-8-sig"))
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


def test_several_references_count_as_sacrebleu_counts_them(
    verto: Verto, engine: FakeEngine, tmp_path: Path
) -> None:
    texts = {
        "en": ["The cat sat on the mat today.", "Where is the nearest station?"],
        "one": ["The cat sat on a mat.", "Where is the station?"],
        "two": ["A cat sat on the mat today.", "Where, please, is the nearest station?"],
        "other": ["Cats sit.", "What is near?"],
    }
    for name, lines in texts.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    files = ("--source-file", tmp_path / "en", "--reference-file", tmp_path / "one")
    engine.translate = str.lower
    both = (*files, "--reference-file", tmp_path / "two", "--baseline", "old", "--bootstrap-samples", 100)
    page = tmp_path / "page.html"
    said = report(evaluate(verto, *both, "--json", "--length-buckets", "5", "--report", page))
    made = [text.lower() for text in texts["en"]]
    for name, metric in PEERS.items():
        expected = metric.corpus_score(made, [texts["one"], texts["two"]])
        assert said[name] == said["tests"][0]["baseline"][name] == expected.score
        assert said[f"{name}_signature"] == str(metric.get_signature())
        assert said["comparison"][name]["signature"].startswith("nrefs:2|")
        short = metric.corpus_score(made[1:], [texts["one"][1:], texts["two"][1:]])
        assert said["by_length"][0][name] == short.score
    assert said["test"] == [str(tmp_path / name) for name in ("en", "one", "two")]
    assert all(line in page.read_text() for line in (*texts["one"], *texts["two"]))
    pairs = (*files, "--source-file", tmp_path / "en", "--reference-file", tmp_path / "other")
    assert [len(one["test"]) for one in report(evaluate(verto, *pairs, "--json"))["tests"]] == [2, 2]


def test_a_report_is_written_where_standard_output_is_closed(
    engine: FakeEngine, test_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("evaluate", "en-de", "--test", test_file, "--report", tmp_path / "scores.html")
    monkeypatch.setattr(sys, "stdout", None)  # as with `>&-`
    monkeypatch.setattr(sys, "argv", ["verto", *map(str, asked)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, (tmp_path / "scores.html").is_file()) == (0, True)


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
        (["--source-file", "-", "--reference-file", "-"], "standard input can be read only once"),
        (["--test", "none.tsv"], "none.tsv: No such file or directory"),
        (["--test", "empty.tsv"], "empty.tsv: has no lines"),
        (["--test", "short.tsv"], "short.tsv: line 2: 1 columns, column 2 is needed"),
        (["--test", "bad.tsv"], "bad.tsv: line 1, byte 5 (0xff): not UTF-8"),
        (["--test", "good.tsv", "--columns", "0,1"], "two numbers from 1, such as 1,2, got '0,1'"),
        (["--test", "good.tsv", "--columns", "1"], "two numbers from 1, such as 1,2, got '1'"),
        (["--test", "good.tsv", "--limit", "0"], "Invalid value for '--limit'"),
        (["--test", "good.tsv", "--limit", "9" * 20], "less than or equal to 1000000000, got '9999"),
        (["--test", "good.tsv", "--metrics", "bleu,meteor"], "some of bleu,chrf,ter, with commas"),
        (["--test", "good.tsv", "--metrics", ""], "some of bleu,chrf,ter, with commas"),
        (
            ["--test", "good.tsv", "--metrics", "chrf,ter", "--bleu-tokenizer", "zh"],
            "--bleu-tokenizer: needs bleu among the metrics, got 'chrf,ter'",
        ),
        (["--test", "good.tsv", "--length-buckets", "5,5"], "ascending numbers from 1, such as 5,10,20"),
        (["--test", "good.tsv", "--length-buckets", "a"], "ascending numbers from 1, such as 5,10,20"),
        (["--test", "good.tsv", "--bootstrap-samples", "9"], "Invalid value for '--bootstrap-samples'"),
        (["--test", "good.tsv", "--bootstrap-samples", "200"], "needs a --baseline"),
        (["--source-file", "en", "--reference-file", "short"], "short: ends before line 2"),
        (["--source-file", "short", "--reference-file", "en"], "short: ends before line 2"),
        (
            ["--source-file", "en", "--reference-file", "en", "--reference-file", "short"],
            "short: ends before line 2",
        ),
        (["--test", "good.tsv", "--beam-size", "40"], "beam_size must be in 1..32, got 40"),
        (["--test", "good.tsv", "--save-translations", "no/out"], "no/out: its folder does not exist"),
        (["--test", "good.tsv", "--save-translations", "good.tsv"], "good.tsv: is both input and output"),
        (["--test", "good.tsv", "--report", "no/out"], "no/out: its folder does not exist"),
        (["--test", "good.tsv", "--report", "good.tsv"], "good.tsv: is both input and output"),
        (["--test", "good.tsv", "--report", "-"], "--report: must be a file; scores go to standard output"),
        (["--test", "good.tsv", "--save-translations", "-"], "--save-translations: must be a file; scores"),
        (["--test", "good.tsv", "--report", "a", "--save-translations", "a"], "the file of another output"),
        (["--test", "good.tsv", "--test", "good.tsv", "--save-translations", "a"], "--translations-dir"),
        (["--test", "good.tsv", "--baseline", "x", "--save-translations", "a"], "--translations-dir"),
        (["--test", "good.tsv", "--translations-dir", "no/no"], "no/no: No such file or directory"),
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
    assert ended.err == (
        "verto: evaluate needs sacrebleu; from the root of the clone: pip install '.[training]'\n"
    )


def test_a_failing_engine_is_told_and_no_translations_are_saved(
    verto: Verto, engine: FakeEngine, test_file: Path, tmp_path: Path
) -> None:
    engine.fail = StepFailed("out of memory")
    ended = evaluate(verto, "--test", test_file, "--save-translations", tmp_path / "out.txt")
    assert (ended.code, ended.out) == (1, b"")
    assert ended.err.startswith(f"verto: {test_file}: line 1: ")
    assert not (tmp_path / "out.txt").exists()


def test_help_has_examples(verto: Verto) -> None:
    ended = verto("evaluate", "--help")
    assert ended.code == 0
    assert "verto evaluate checkpoints/en-de --test test.tsv.gz" in ended.text
