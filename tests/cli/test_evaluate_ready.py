"""`verto evaluate` of translations that are there already: sacreBLEU's numbers, and no model."""

import os
import re
from pathlib import Path

import pytest
import sacrebleu
from sacrebleu.significance import PairedTest

from tests.cli.conftest import Verto
from tests.cli.evaluations import evaluate, report
from tests.fakes import FakeEngine
from training.scoring import Scorer

SOURCES = [f"Der Zug Nummer {n} fährt heute nach Bonn." for n in range(12)]
REFERENCES = [f"Train number {n} goes to Bonn today." for n in range(12)]
SECOND = [f"Today train {n} is going to Bonn." for n in range(12)]
NEW = [f"Train number {n} goes to Bonn now." for n in range(12)]
OLD = [f"Today the train {n} runs at Bonn." for n in range(12)]
FILES = {"src": SOURCES, "ref": REFERENCES, "second": SECOND, "new": NEW, "old": OLD}
SCORED = ("--translations-file", "new", "--reference-file", "ref")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name, lines in FILES.items():
        Path(name).write_text("".join(f"{line}\n" for line in lines))
    Path("test.tsv").write_text("".join(f"{text}\t{text}\n" for text in REFERENCES))
    Path("short").write_text("one\n")


def test_a_file_is_scored_as_sacrebleu_scores_it_against_another(verto: Verto) -> None:
    given = (*SCORED, "--reference-file", "second", "--source-file", "src", "--baseline-file", "old")
    said = report(verto("evaluate", *given, "--bootstrap-samples", 100, "--json"))
    references = [REFERENCES, SECOND]
    for name, metric in {"bleu": sacrebleu.BLEU(), "chrf": sacrebleu.CHRF(), "ter": sacrebleu.TER()}.items():
        assert said[name] == metric.corpus_score(NEW, references).score
        assert said[f"{name}_signature"] == str(metric.get_signature())
        assert said["tests"][0]["baseline"][name] == metric.corpus_score(OLD, references).score
    systems = [("baseline", OLD), ("system", NEW)]
    _, results = PairedTest(systems, Scorer(["bleu"]).metrics, references, "bs", 100)()
    assert said["comparison"]["bleu"]["p_value"] == results["BLEU"][1].p_value
    assert (said["translations"], said["baseline"]) == (["new"], {"translations": ["old"]})
    assert {"model", "split", "precision", "seconds", "decoding"} & set(said) == set()
    assert [one["sentences"] for one in said["by_length"]] == [12]


def test_references_alone_are_enough_and_tell_the_lengths(verto: Verto) -> None:
    ended = verto("evaluate", *SCORED, "--limit", 10)
    assert (ended.code, ended.err) == (0, "")
    head, *_, lengths, by_length = ended.text.splitlines()
    assert head == "new, ref, 10 sentences"
    assert lengths.split()[:5] == ["words", "of", "the", "reference", "sentences"]
    assert (by_length[:4], by_length.split()[1]) == ("6-10", "10")


def test_the_report_shows_texts_and_no_attention(verto: Verto) -> None:
    given = (*SCORED, "--baseline-file", "old", "--bootstrap-samples", 100, "--report", "page.html")
    assert verto("evaluate", *given, "--source", "de", "--target", "en").code == 0
    page = Path("page.html").read_text()
    assert "<title>new, de to en, against old</title>" in page
    shown = [text in page for text in ("Train number 3", "Attention", "<dt>source</dt>")]
    assert shown == [True, False, False]


@pytest.mark.parametrize(("baseline", "called"), [("sub/new", "sub/new"), ("new", "./new")])
def test_two_files_of_one_name_are_told_apart(verto: Verto, baseline: str, called: str) -> None:
    Path("sub").mkdir()
    Path("sub/new").write_bytes(Path("old").read_bytes())
    system = "new" if baseline == "sub/new" else "sub/new"
    asked = ("--reference-file", "ref", "--metrics", "chrf", "--bootstrap-samples", 100)
    ended = verto("evaluate", "--translations-file", system, "--baseline-file", baseline, *asked)
    assert ended.text.splitlines()[0] == f"new, ref, 12 sentences; against {called}"
    assert f"chrF {called}" in ended.text


@pytest.mark.parametrize(("asked", "times"), [((), 1), (("--quiet",), 0), (("--metrics", "chrf"), 0)])
def test_a_text_that_is_tokenised_is_told_once(
    verto: Verto, caplog: pytest.LogCaptureFixture, asked: tuple[str, ...], times: int
) -> None:
    for name, end in (("apart", " ."), ("whole", ".")):
        Path(name).write_text("".join(f"This is line {n}{end}\n" for n in range(100)))
    given = ("--translations-file", "apart", "--baseline-file", "whole", "--reference-file", "whole")
    ended = verto("evaluate", *given, "--bootstrap-samples", 100, *asked)
    assert (ended.code, caplog.records) == (0, [])
    assert ended.err.count("verto: apart, whole: full stops stand apart") == times == ended.err.count("\n")


def test_the_report_says_of_which_test_set_a_signature_is(verto: Verto) -> None:
    """Of two references and of one: numbers compare only where signatures are equal."""
    files = ("--source-file", "src", "--reference-file", "ref", "--reference-file", "second")
    made = ("--translations-file", "new", "--translations-file", "new")
    other = ("--baseline-file", "old", "--baseline-file", "old", "--bootstrap-samples", 100)
    asked = ("--metrics", "chrf", "--report", "page.html")
    assert verto("evaluate", "--test", "test.tsv", *files, *made, *other, *asked).code == 0
    page = Path("page.html").read_text()
    for head in ("case:", r"bs:100\|seed:12345\|case:"):
        assert re.search(rf"<dd>nrefs:1\|{head}\S+ \(test\); nrefs:2\|{head}\S+ \(src\)</dd>", page)


def test_a_name_that_is_not_utf_8_is_no_fault_of_the_report(verto: Verto) -> None:
    name = os.fsdecode(b"out\xff.de")
    Path(name).write_bytes(Path("new").read_bytes())
    asked = ("--translations-file", name, "--reference-file", "ref", "--report", "page.html")
    assert verto("evaluate", *asked, "--metrics", "chrf", "--json").code == 0
    assert r"<h1>out\udcff.de</h1>" in Path("page.html").read_text()


def test_a_bundle_may_stand_on_either_side(verto: Verto, engine: FakeEngine) -> None:
    sides = (("--baseline", "en-de", "--translations-file", "old"), ("en-de", "--baseline-file", "old"))
    for number, side in enumerate(sides):
        asked = ("--test", "test.tsv", "--bootstrap-samples", 100, "--report", "page.html", "--json")
        said = report(verto("evaluate", *side, *asked, "--save-translations", "saved"))
        scores = said["bleu"], said["tests"][0]["baseline"]["bleu"]
        assert pytest.approx(100) == scores[number == 0]
        assert scores[number] == sacrebleu.BLEU().corpus_score(OLD, [REFERENCES]).score
        assert (said["source"], said["split"]) == ("en", "lines")
        assert Path("saved").read_text() == Path("ref").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reference-file", "ref"], "BUNDLE: give one, or --translations-file"),
        (["en-de", *SCORED], "--translations-file: cannot stand beside a BUNDLE"),
        ([*SCORED, "--baseline", "x", "--baseline-file", "old"], "--baseline-file: cannot stand beside --ba"),
        ([*SCORED, "--beam-size", "4"], "--beam-size: is for a bundle that translates"),
        ([*SCORED, "--split", "lines"], "--split: is for a bundle that translates"),
        ([*SCORED, "--device", "cpu"], "--device: is for a bundle that translates"),
        ([*SCORED, "--no-copying"], "--copying: is for a bundle that translates"),
        ([*SCORED, "--save-translations", "x"], "--save-translations: is for a bundle that translates"),
        ([*SCORED, "--source", "de"], "--source: needs --target beside it, got 'de' alone"),
        ([*SCORED, "--target", "en"], "--target: needs --source beside it, got 'en' alone"),
        ([*SCORED, "--source", "de", "--target", " "], "--target: must be a language, got ' '"),
        ([*SCORED, "--bootstrap-samples", "200"], "needs a --baseline or --baseline-file"),
        ([*SCORED, "--baseline", "x"], "give --test, or --source-file and --reference-file"),
        (
            [*SCORED, "--translations-file", "old"],
            "once for each of the 1 test sets, those of --test first, got 2",
        ),
        ([*SCORED, "--report", "new"], "new: is both input and output"),
        ([*SCORED, "--baseline-file", "short"], "short: must have 12 lines, one for each sentence, got 1"),
        (["--translations-file", "-", "--reference-file", "-"], "standard input can be read only once"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    verto: Verto, engine: FakeEngine, arguments: list[str], message: str
) -> None:
    ended = verto("evaluate", *arguments)
    assert (ended.code, ended.out, engine.requests) == (2, b"", [])
    assert message in ended.err


def test_a_baseline_file_takes_its_place_beside_a_bundle(verto: Verto, engine: FakeEngine) -> None:
    ended = evaluate(verto, "--test", "test.tsv", "--baseline-file", "old", "--bootstrap-samples", 100)
    head, last = ended.text.splitlines()[0], ended.text.splitlines()[-1]
    assert head.endswith("split lines; against old")
    assert last.startswith("translated in ")
