"""`verto translate`: what goes in comes out translated, line by line; a fault is named and leaves nothing."""

import gzip
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import line_files, offline_options
from model.decoding import DecodingOptions
from service.engine.errors import StepFailed
from service.schemas import OPTION_FIELDS
from service.segment_options import seed_of_segment
from service.settings import Settings
from tests.cli.conftest import Ended, Verto
from tests.fakes import CharacterTokenizer, FakeEngine

# Sentences, layout, marks, ends of line that are none here; among them what a segmenter stumbles over.
PIECE = st.sampled_from(
    [
        "A word. ",
        "Two? ",
        "\t",
        "   ",
        "- ",
        "1. ",
        "\r",
        "\u2028",
        "\ufeff",
        "ß",
        "…",
        "42",
        "字。",
        "e\u0301",
        "x" * 130,
    ]
)
LINES = st.lists(st.lists(PIECE, max_size=6).map("".join) | st.text("a .\t\r\x85", max_size=12), max_size=12)


def translate(verto: Verto, *arguments: object, stdin: bytes = b"") -> Ended:
    return verto("translate", "--source", "en", "--target", "de", *arguments, stdin=stdin)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(LINES)
def test_lines_and_their_layout_are_kept_when_each_segment_translates_to_itself(
    verto: Verto, engine: FakeEngine, lines: list[str]
) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    ended = translate(verto, "--quiet", stdin=content)
    assert (ended.code, ended.out, ended.err) == (0, content, "")


def test_each_line_is_translated_in_its_place(verto: Verto, engine: FakeEngine) -> None:
    engine.translate = str.upper
    ended = translate(verto, stdin=b"one\n\n  - two. three.\r\nfour")
    assert ended.text == "ONE\n\n  - TWO. THREE.\r\nFOUR\n"
    assert ended.err.startswith("4 lines in ")


def test_a_line_longer_than_the_model_reads_is_divided_and_never_cut(
    verto: Verto, engine: FakeEngine
) -> None:
    long = " ".join(f"word{number}" for number in range(500))
    assert translate(verto, stdin=long.encode()).text == long + "\n"
    assert len(engine.requests) > 10
    assert max(len(request.source_ids) for request in engine.requests) <= 120


def test_without_splitting_a_line_that_is_too_long_is_refused_by_its_number(
    verto: Verto, engine: FakeEngine, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("short\n" + "x" * 200 + "\n")
    ended = translate(verto, tmp_path / "in.txt", "--split", "none")
    assert (ended.code, ended.text) == (2, "short\n")
    assert f"{tmp_path / 'in.txt'}: line 2: must be at most 120 tokens" in ended.err
    assert ended.err.endswith("got 201\n")


def test_a_line_end_that_the_model_writes_moves_no_other_line(verto: Verto, engine: FakeEngine) -> None:
    engine.translate = lambda text: f"{text}\nmore"
    assert translate(verto, stdin=b"one\ntwo\n").text == "one more\ntwo more\n"


def test_several_files_come_out_one_behind_the_other(
    verto: Verto, engine: FakeEngine, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a without an end")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"b\n"))
    (tmp_path / "empty.txt").write_text("")
    names = [tmp_path / "b.txt.gz", "-", tmp_path / "empty.txt", tmp_path / "a.txt"]
    assert translate(verto, *names, stdin=b"from stdin\n").text == "b\nfrom stdin\na without an end\n"


def test_each_file_has_its_own_output_in_a_folder(verto: Verto, engine: FakeEngine, tmp_path: Path) -> None:
    engine.translate = str.upper
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"b\n"))
    (tmp_path / "empty.txt").write_text("")
    names = [tmp_path / name for name in ("a.txt", "empty.txt", "b.txt.gz")]
    ended = translate(verto, *names, "--output-dir", tmp_path / "out")
    assert (ended.code, ended.out) == (0, b"")
    assert (tmp_path / "out" / "a.txt").read_text() == "A\n"
    assert gzip.decompress((tmp_path / "out" / "b.txt.gz").read_bytes()) == b"B\n"
    assert (tmp_path / "out" / "empty.txt").read_bytes() == b""


def test_gzip_in_and_gzip_out(verto: Verto, engine: FakeEngine, tmp_path: Path) -> None:
    engine.translate = str.upper
    ended = translate(verto, "-o", tmp_path / "out.gz", stdin=gzip.compress("größe\n".encode()))
    assert (ended.code, ended.out) == (0, b"")
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == "GRÖSSE\n".encode()


def test_json_lines_hold_what_the_server_says_of_a_translation(verto: Verto, engine: FakeEngine) -> None:
    engine.finish_reason = "length"
    ended = translate(verto, "--json", "--num-hypotheses", "2", stdin=b"one\n\n")
    best = {"text": "one", "score": -0.25, "finish_reason": "length"}
    second = {"text": "one1", "score": -0.5, "finish_reason": "length"}
    nothing = {"text": "", "score": None, "finish_reason": "stop"}
    assert [json.loads(line) for line in ended.text.splitlines()] == [
        {**best, "hypotheses": [best, second]},
        nothing,
    ]
    assert "; 1 cut at a length limit" in ended.err


def test_every_option_reaches_decoding_and_the_models_defaults_fill_the_rest(
    verto: Verto, engine: FakeEngine
) -> None:
    options = {
        "strategy": "beam",
        "beam_size": 7,
        "num_hypotheses": 3,
        "length_penalty": 0.5,
        "coverage_penalty": 0.2,
        "patience": 2.0,
        "diversity_groups": 7,
        "diversity_penalty": 0.5,
        "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3,
        "min_length": 1,
        "max_length": 50,
        "max_length_ratio": 2.5,
    }
    drawn = {
        "strategy": "sample",
        "temperature": 0.8,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.05,
        "epsilon": 0.001,
        "seed": 7,
    }
    in_text = {"prefix_ids", "banned_ids", "required_ids"}
    assert {*options, *drawn, *in_text} == {field.name for field in fields(DecodingOptions)}
    assert {*options, *drawn} == set(OPTION_FIELDS)
    assert translate(verto, *named(options), "--json", stdin=b"one\n").code == 0
    assert translate(verto, *named(drawn), stdin=b"two\n").code == 0
    assert translate(verto, "--strategy", "greedy", stdin=b"two\n").code == 0
    assert [request.options for request in engine.requests] == [
        DecodingOptions(**options),  # type: ignore[arg-type]
        DecodingOptions(**{**drawn, "seed": seed_of_segment(7, 0, 0)}),  # type: ignore[arg-type]
        DecodingOptions(strategy="greedy"),
    ]


def named(options: Mapping[str, object]) -> list[object]:
    """As they are written on a command line."""
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]


def test_a_banned_word_that_cannot_be_avoided_is_told_with_its_line(verto: Verto, engine: FakeEngine) -> None:
    ended = translate(verto, "--banned", "two", "--banned", "three", stdin=b"one\ntwo\n")
    assert (ended.code, ended.text) == (2, "one\n")
    assert "line 2: The model found no translation without the banned phrases." in ended.err


@pytest.fixture
def _copying(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `engine` stands for has placeholders."""
    monkeypatch.setattr(CharacterTokenizer, "placeholders", ("\ue000", "\ue001"))


@pytest.mark.usefixtures("_copying")
@pytest.mark.parametrize(
    ("option", "phrase", "line"), [("--prefix", "on", "on it"), ("--required", "it", "it")]
)
def test_a_line_of_nothing_but_what_is_copied_stays_whatever_the_translations_have(
    verto: Verto, engine: FakeEngine, option: str, phrase: str, line: str
) -> None:
    engine.translate = lambda text: " it"
    ended = translate(verto, option, phrase, stdin=b"one\nhttps://x.org 42\n")
    assert (ended.code, ended.text) == (0, f"{line}\nhttps://x.org 42\n")


def test_prefix_and_required_phrases_are_those_of_a_request_and_blank_lines_stay(
    verto: Verto, engine: FakeEngine
) -> None:
    engine.translate = lambda text: " the way" if text == "one" else " a way"  # behind the prefix
    ended = translate(
        verto, "--prefix", "on", "--required", "way", stdin="one\n \ntwo\n\ufeff\n* * *\n".encode()
    )
    assert (ended.code, ended.text) == (0, "on the way\n \non a way\n\ufeff\n* * *\n")
    encode = CharacterTokenizer().encode_target
    asked = [request.options for request in engine.requests]
    assert {one.required_ids for one in asked if one.prefix_ids} == {(tuple(encode("way")[:-1]),)}
    assert {one.prefix_ids for one in asked if one.required_ids} == {tuple(encode("on")[:-1])}
    ended = translate(verto, "--required", "way", stdin=b"one\ntwo. Three.\n")
    assert (ended.code, ended.text) == (2, "the way\n")
    assert "line 2: required must be left out unless each text is one segment" in ended.err


def test_several_hypotheses_are_lines_with_number_and_score(
    verto: Verto, engine: FakeEngine, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("one\n\n  two\n")
    (tmp_path / "b").write_text("three\n")
    names, asked = (tmp_path / "a", tmp_path / "b"), ("--num-hypotheses", 2, "--quiet")
    first = ["0 ||| one ||| -0.2500", "0 ||| one1 ||| -0.5000", "1 |||  ||| 0.0000"]
    first += ["2 |||   two ||| -0.2500", "2 |||   two1 ||| -0.5000"]
    assert translate(verto, *names, *asked).text.splitlines() == [
        *first,
        "3 ||| three ||| -0.2500",
        "3 ||| three1 ||| -0.5000",
    ]
    assert translate(verto, *names, *asked, "--output-dir", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "a").read_text().splitlines() == first
    assert (tmp_path / "out" / "b").read_text().splitlines()[0] == "0 ||| three ||| -0.2500"


def test_what_runs_the_model_are_settings_of_the_server() -> None:
    assert set(offline_options.RUNNING) <= set(Settings.model_fields)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beam-size", "0"], "beam_size must be in 1..32, got 0"),
        (["--strategy", "best"], "strategy must be one of beam, greedy, sample, got 'best'"),
        (["--temperature", "0.5"], "temperature must be left out with strategy 'beam'"),
        (["--strategy", "sample", "--beam-size", "4"], "beam_size must be left out with strategy 'sample'"),
        (["--strategy", "greedy", "--beam-size", "4"], "beam_size must be left out with strategy 'greedy'"),
        (["--max-rows", "1"], "max_rows (command line)"),
        (["--precision", "int9"], "precision (command line)"),
        (["--split", "words"], "Invalid value for '--split': 'words' is not one of"),
        (
            ["--beam-size", "four"],
            "Invalid value for '--beam-size': Input should be a valid integer, got 'four'",
        ),
        (["--banned", " "], "Invalid value for --banned: must be more than white space, got ' '"),
        (["--required", ""], "Invalid value for --required: must be more than white space, got ''"),
        (["--required", "x", "--banned", "y"], "Invalid value for --banned: cannot stand beside --required"),
        (["--required", "x" * 201], "Invalid value for --required: must be at most 200 characters"),
        (["--required", "x"] * 9, "Invalid value for --required: must be at most 8 "),
        (["--prefix", "x" * 10_001], "Invalid value for --prefix: must be at most 10000 characters"),
        (["--required", "x", "--strategy", "greedy"], "required must be left out with strategy 'greedy'"),
        (["-", "-"], "standard input can be read only once"),
        (["none.txt"], "none.txt: No such file or directory"),
        (["--output", "none/out.txt"], "none/out.txt: its folder does not exist"),
        (["--output-dir", "."], "needs named files"),
        (["a/x", "--output-dir", "none/out"], "none/out: No such file or directory"),
        (["a/x", "--output-dir", "bad"], "bad: File exists"),
        (["a/x", "--output-dir", "new", "--beam-size", "0"], "beam_size must be in 1..32, got 0"),
        (["a/x", "b/x", "--output-dir", "."], "several files are called x"),
        (["a/x", "--output-dir", ".", "--output", "y"], "cannot stand beside --output"),
        (["a/x", "--output", "a/x"], "a/x: is both input and output"),
        (["a/x", "--output-dir", "a"], "a/x: is both input and output"),
        (["a/x", "bad"], "bad: line 2, byte 4 (0xff): not UTF-8"),
        (["a"], "a: Is a directory"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_translated_or_written(
    verto: Verto,
    engine: FakeEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "x").write_text("text\n")
    Path("bad").write_bytes(b"one\ntwo\xff\n")
    ended = translate(verto, *arguments, stdin=b"one\n")
    assert (ended.code, ended.out, engine.requests) == (2, b"", [])
    assert message in ended.err
    assert sorted(os.listdir()) == ["a", "b", "bad"]


def test_what_is_wrong_in_a_pipe_comes_behind_the_lines_before_it(verto: Verto, engine: FakeEngine) -> None:
    ended = translate(verto, "--quiet", stdin=b"one\ntwo\n\xff\nfour\n")
    assert (ended.code, ended.text) == (2, "one\ntwo\n")
    assert ended.err == "verto: standard input: line 3, byte 1 (0xff): not UTF-8\n"


def test_a_file_that_changes_while_it_is_read_leaves_no_output(
    verto: Verto, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.txt").write_bytes(b"one\n\xff\n")
    monkeypatch.setattr(line_files.LineFile, "count_checked", lambda self: 2)
    ended = translate(verto, tmp_path / "in.txt", "--output", tmp_path / "out.txt")
    assert ended.code == 2
    assert os.listdir(tmp_path) == ["in.txt"]


def test_a_failing_engine_is_told_with_the_line_and_code_one(
    verto: Verto, engine: FakeEngine, tmp_path: Path
) -> None:
    engine.fail = StepFailed("out of memory")
    ended = translate(verto, "--output", tmp_path / "out.txt", stdin=b"\none\n")
    assert (ended.code, ended.out) == (1, b"")
    assert ended.err.startswith("verto: standard input: line 2: ")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_by_name(verto: Verto, engine: FakeEngine) -> None:
    ended = translate(verto, "--output", "/dev/full", stdin=b"one\n")
    assert (ended.code, ended.err) == (2, "verto: /dev/full: No space left on device\n")


def test_whoever_types_is_told_how_to_end(
    verto: Verto, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_files.LineFile, "is_terminal", lambda self: self.path is None)
    hint = "type lines to translate; Ctrl-D ends\n"
    assert translate(verto, stdin=b"one\n").err.startswith(hint)
    assert translate(verto, "--quiet", stdin=b"one\n").err == ""


def test_help_has_examples_and_exit_codes(verto: Verto) -> None:
    ended = verto("translate", "--help")
    assert ended.code == 0
    assert "verto translate --source en --target de < in.txt > out.txt" in ended.text
    assert "130 Ctrl-C" in ended.text
