"""Lines and tables say the same: who, how well, how sure, how fast."""

import dataclasses

import pytest

from tests.training.report.evaluations import evaluation
from training.report.as_text import as_text, print_tables, verdict
from training.significance import Significance


def test_every_test_set_has_its_block() -> None:
    first, second = as_text(evaluation("news", "talks")).split("\n\n")
    assert first.startswith(
        "en-de 2, en-de, data/news.tsv, 3 sentences; strategy beam, beam_size 4, split lines\n"
    )
    assert second.startswith("en-de 2, en-de, data/talks.tsv, 3 sentences")
    assert first.splitlines()[1].startswith("BLEU   77.47  nrefs:1|")
    assert "\nup to 3          1  100.00" in first
    assert first.endswith(
        "translated in 1.5 s: 2.0 sentences/s, 1,234 target tokens/s; 1 cut at a length limit"
    )


def test_what_the_networks_computed_in_is_said_where_it_is_unusual() -> None:
    assert evaluation().segments == "split lines"
    assert dataclasses.replace(evaluation(), precision="int8").segments == "split lines, int8"
    assert (
        dataclasses.replace(evaluation(), precision="bfloat16", device="cuda:0").segments
        == "split lines, bfloat16 on cuda:0"
    )


def test_a_comparison_names_both_and_says_which_is_better() -> None:
    text = as_text(evaluation(with_baseline=True))
    assert "; against en-de 1, decoded likewise\n" in text
    assert "en-de 1 translated in 1.5 s" in text
    assert "BLEU en-de 1" in text
    lines = {line.split()[0]: line for line in text.splitlines() if " ± " in line}
    assert list(lines) == ["BLEU", "chrF", "TER"]


def test_another_decoding_of_the_baseline_is_told() -> None:
    found = evaluation(with_baseline=True)
    assert found.baseline is not None
    greedy = dataclasses.replace(found.baseline, decoding={"strategy": "greedy"})
    assert "; against en-de 1, strategy greedy\n" in as_text(dataclasses.replace(found, baseline=greedy))


@pytest.mark.parametrize(
    ("metric", "difference", "p", "said"),
    [
        ("bleu", 1.0, 0.01, "better"),
        ("bleu", -1.0, 0.01, "worse"),
        ("ter", 1.0, 0.01, "worse"),
        ("ter", -1.0, 0.01, "better"),
        ("chrf", 1.0, 0.05, "no significant difference (p ≥ 0.05)"),
    ],
)
def test_a_verdict_knows_which_way_a_metric_goes(metric: str, difference: float, p: float, said: str) -> None:
    found = Significance(difference=difference, p_value=p, interval=1, baseline_interval=1, signature="")
    assert verdict(metric, found) == said


def test_a_terminal_gets_tables_of_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(evaluation("news", "talks", with_baseline=True))
    shown = capsys.readouterr().out
    assert shown.count("┏") == 6  # scores, comparison, by length; twice
    assert shown.count("1,234 target tokens/s") == 4


@pytest.mark.parametrize("name", ["new[old].de", "[/b]", "a-name-of-more-letters-than-there-is-room"])
def test_a_terminal_gets_names_whole_and_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = evaluation(with_baseline=True)
    assert found.baseline is not None
    print_tables(dataclasses.replace(found, baseline=dataclasses.replace(found.baseline, label=name)))
    heads = capsys.readouterr().out.split("┏")[1:]
    columns = [zip(*_cells(head.split("┡")[0]), strict=True) for head in heads]
    _, comparison, lengths = (["".join(column) for column in one] for one in columns)
    assert comparison[2] == name
    assert lengths[1] == "sentences"
    assert lengths[3] == f"BLEU{name}"


def _cells(head: str) -> list[list[str]]:
    """Of each line of a table's head, without the white space around."""
    lines = [line for line in head.splitlines() if line.startswith("┃")]
    return [[cell.strip() for cell in line.strip("┃").split("┃")] for line in lines]
