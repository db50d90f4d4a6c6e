"""`verto data back-translate` and `distill`: pairs hold what `verto translate` says, and no work is lost."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli import pair_translation
from cli.stopping import Stopped
from tests.builders import tiny_bundle, tiny_info, tiny_sentences
from tests.cli.conftest import Ended, Verto
from training.distillation import closest

LINES = list(tiny_sentences(9, seed=5))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder / "tiny", info=tiny_info(name="tiny", directions=(("en", "de"), ("de", "en"))))
    return folder


@pytest.fixture
def run(verto: Verto, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run("distill", …)`: one of the commands, from English to German, in a folder with `lines.txt`."""
    monkeypatch.chdir(tmp_path)
    text = "\n".join([*LINES[:4], "", *LINES[4:]]) + "\n"
    (tmp_path / "lines.txt").write_text(text, encoding="utf-8")
    (tmp_path / "pairs.tsv").write_text("".join(f"{n}\t{line}\tBa de!\n" for n, line in enumerate(LINES)))

    def call(command: str, *arguments: object) -> Ended:
        words = ("translate",) if command == "translate" else ("data", command)
        running = ("--models-dir", models, "--threads", 1, "--device", "cpu")
        return verto(*words, *arguments, "-s", "en", "-t", "de", "--max-length", 12, *running)

    return call


@pytest.fixture
def translations(run: Any) -> list[str]:
    """What `verto translate` says of the lines; of those that it cut nothing is learned."""
    ended = run("translate", "lines.txt", "--split", "lines", "--json", "-q")
    answers = [json.loads(line) for line in ended.text.splitlines()]
    whole = [a["text"] for a in answers if a["text"] and a["finish_reason"] != "length"]
    assert len(whole) > 3
    return whole


def sides(path: Path) -> list[tuple[str, ...]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return [tuple(line.split("\t")) for line in text.splitlines()]


def test_a_student_learns_what_translate_says(run: Any, translations: list[str]) -> None:
    ended = run("distill", "lines.txt", "-o", "out.tsv")
    assert ended.code == 0, ended.err
    pairs = sides(Path("out.tsv"))
    assert [target for _, target in pairs] == translations
    assert {source for source, _ in pairs} <= set(LINES)
    # No line of a bar where nobody sees one move.
    assert (len(ended.err.splitlines()), f"{len(pairs)} pairs" in ended.err) == (1, True)


def test_back_translation_puts_the_machine_s_text_first(run: Any, translations: list[str]) -> None:
    run("back-translate", "lines.txt", "-o", "out.tsv.gz")
    assert [source for source, _ in sides(Path("out.tsv.gz"))] == translations
    assert {target for _, target in sides(Path("out.tsv.gz"))} <= set(LINES)


def test_a_column_of_a_table_is_translated(run: Any, translations: list[str]) -> None:
    run("distill", "pairs.tsv", "--column", 1, "-o", "out.tsv")
    assert [target for _, target in sides(Path("out.tsv"))] == translations


def test_with_a_reference_the_nearest_of_the_beam_is_taken(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, str]] = []

    def last(hypotheses: list[str], reference: str) -> str:
        seen.append((len(hypotheses), reference))
        return hypotheses[-1]

    monkeypatch.setattr("training.distillation.closest", last)
    ended = run("distill", "pairs.tsv", "--column", 1, "--reference", 2, "--beam-size", 3, "-o", "out.tsv")
    assert ended.code == 0, ended.err
    assert seen == [(3, "Ba de!")] * len(LINES)


def test_lines_that_were_cut_or_came_out_empty_are_counted(run: Any, translations: list[str]) -> None:
    lost = len(LINES) - len(translations)
    ended = run("distill", "lines.txt", "-o", "out.tsv")
    assert (f"cut at a length limit {lost}" in ended.err) == (lost > 0)


def test_an_interrupted_job_goes_on_with_the_parts_that_are_missing(
    run: Any, translations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_translation.PairMaker.run, "__defaults__", (4,))
    make, made = pair_translation.PairMaker._make, []

    def stopping(maker: Any, chunk: Any, parts: Any, number: int) -> None:
        if number == 1 and "stopped" not in made:
            made.append("stopped")
            raise Stopped(130)
        made.append(str(number))
        make(maker, chunk, parts, number)

    monkeypatch.setattr(pair_translation.PairMaker, "_make", stopping)
    assert run("distill", "lines.txt", "-o", "out.tsv").code == 130
    assert sorted(path.name for path in Path("out.tsv.parts").iterdir()) == ["00000.tsv", "job.json"]
    assert not Path("out.tsv").exists()
    ended = run("distill", "lines.txt", "-o", "out.tsv")
    assert made == ["0", "stopped", "1", "2"]
    assert [target for _, target in sides(Path("out.tsv"))] == translations
    assert f"{len(translations)} pairs" in ended.err
    assert not Path("out.tsv.parts").exists()


def test_parts_of_another_job_are_refused(run: Any) -> None:
    Path("out.tsv.parts").mkdir()
    Path("out.tsv.parts/job.json").write_text("{}\n")
    Path("out.tsv.parts/00000.tsv").write_text("a\tb\n")
    ended = run("distill", "lines.txt", "-o", "out.tsv")
    assert ended.code == 2
    assert ended.err.startswith("verto: out.tsv.parts: holds parts of another job; finish that")


def test_a_job_that_ended_before_its_first_part_binds_nobody(
    run: Any, translations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise Stopped(130)

    with monkeypatch.context() as patch:
        patch.setattr(pair_translation.PairMaker, "_pair", stopped)
        assert run("distill", "pairs.tsv", "--column", 0, "-o", "out.tsv").code == 130
    assert [path.name for path in Path("out.tsv.parts").iterdir()] == ["job.json"]
    ended = run("distill", "pairs.tsv", "--column", 1, "-o", "out.tsv")
    assert ended.code == 0, ended.err
    assert [target for _, target in sides(Path("out.tsv"))] == translations


def test_a_missing_column_is_told_before_any_work(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_translation.PairMaker.run, "__defaults__", (4,))
    with Path("pairs.tsv").open("a") as file:
        file.write("one cell\n")
    ended = run("distill", "pairs.tsv", "--column", 1, "-o", "out.tsv")
    assert ended.code == 2
    assert "pairs.tsv: line 10 has 1 columns, column 1" in ended.err
    assert not Path("out.tsv.parts").exists()


@pytest.mark.parametrize("command", ["distill", "back-translate"])
@pytest.mark.parametrize("name", ["pairs.tsv", "./pairs.tsv", "link.tsv"])
def test_an_input_is_never_written_over(run: Any, command: str, name: str) -> None:
    Path("link.tsv").symlink_to("pairs.tsv")
    before = Path("pairs.tsv").read_bytes()
    ended = run(command, "lines.txt", "pairs.tsv", "-o", name)
    assert (ended.code, ended.err) == (2, "verto: pairs.tsv: is both input and output\n")
    assert Path("pairs.tsv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "option"), [(("-", "-o", "out.tsv"), "FILE"), (("lines.txt", "-o", "-"), "--output")]
)
def test_a_dash_is_refused_and_no_file_of_that_name_is_written(
    run: Any, arguments: tuple[str, ...], option: str
) -> None:
    ended = run("distill", *arguments)
    assert ended.code == 2
    assert f"Invalid value for {option}: must be a named file" in ended.err
    assert not Path("-").exists()


def test_a_pipe_is_refused_before_anything_is_read_of_it(run: Any) -> None:
    read, write = os.pipe()
    os.write(write, "\n".join(LINES).encode())
    os.close(write)
    ended = run("distill", f"/dev/fd/{read}", "-o", "out.tsv")
    os.close(read)
    assert ended.code == 2
    assert "Invalid value for FILE: must be a file on a disk" in ended.err
    assert not Path("out.tsv").exists()


def test_a_device_is_no_output(run: Any) -> None:
    ended = run("distill", "lines.txt", "-o", "/dev/null")
    assert ended.code == 2
    assert "Invalid value for --output: must be a file on a disk" in ended.err


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("lines.txt", "-o", "out.tsv", "--column", 1), "lines.txt: line 1 has 1 columns, column 1"),
        (("none.txt", "-o", "out.tsv"), "none.txt: No such file"),
        (("lines.txt", "-o", "no/out.tsv"), "no/out.tsv: its folder does not exist"),
        (("lines.txt", "-o", "out.tsv", "--reference", 1), "--reference"),
        (
            ("pairs.tsv", "-o", "out.tsv", "--column", 1, "--reference", 2, "--strategy", "greedy"),
            "Invalid value for --reference: needs --strategy beam",
        ),
        (("lines.txt", "-o", "out.tsv", "--model", "other"), "no model is called 'other'"),
    ],
    ids=["column", "input", "output", "reference", "strategy", "model"],
)
def test_a_fault_is_told_and_leaves_no_output(run: Any, arguments: tuple[object, ...], fault: str) -> None:
    ended = run("distill", *arguments)
    assert ended.code == 2
    assert fault in ended.err
    assert not Path("out.tsv").exists()


def test_the_closest_is_the_one_that_shares_most_words_with_the_reference() -> None:
    reference = "the cat sat on the mat"
    assert closest(["a dog ran", "the cat sat on a mat", "the cat sat"], reference) == "the cat sat on a mat"
    assert closest(["first", "second"], reference) == "first"
