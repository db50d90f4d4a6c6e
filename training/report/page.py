"""An evaluation as one page of HTML that asks nobody for anything.

Knows: scores, tables, examples, pictures, what a reader must know of them. Must not know: models, files but
its own style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from training.evaluation_scores import Evaluation, TestScores
from training.report.as_text import Rows, metric_label, speeds, tables
from training.report.attention_maps import AttentionMap
from training.report.attention_picture import attention_picture, every_head
from training.report.curves import Picture
from training.report.examples import Example, choose_examples
from training.report.pictures import measured, score_by_length
from training.report.word_difference import marked
from training.scoring import METRICS, Score, sentence_chrf
from training.significance import LEVEL, Significance

Place = tuple[int, int]  # a test set and a sentence of it
_STYLE = Path(__file__).with_name("style.css")


@dataclass(frozen=True, slots=True)
class Extras:
    """What a page shows besides scores: `attention` is by system, baseline second, and by sentence, a map for
    each segment; `num_examples` sentences stand in each list of a test set."""

    curves: Sequence[Picture]
    attention: Sequence[Mapping[Place, Sequence[AttentionMap]]]
    num_examples: int


def page(evaluation: Evaluation, extras: Extras) -> str:
    title = str(evaluation.system)
    if evaluation.source:
        title += f", {evaluation.source} to {evaluation.target}"
    if evaluation.baseline is not None:
        title += f", against {evaluation.baseline}"
    sections = "\n".join(_test(evaluation, number, extras) for number in range(len(evaluation.tests)))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{_facts(evaluation)}\n<h2>Scores</h2>\n{_overview(evaluation)}\n"
        f"{sections}\n{_curves(extras.curves)}</main>\n</body>\n</html>"
    )


def _facts(evaluation: Evaluation) -> str:
    kind = "translations" if evaluation.system.files else "model"
    facts = {kind: str(evaluation.system), "decoding": _decoding(evaluation.system.decoding)}
    if evaluation.baseline is not None:
        facts |= {"baseline": str(evaluation.baseline)}
        facts |= {"its decoding": _decoding(evaluation.baseline.decoding)}
    facts["segments"] = evaluation.segments
    for name in evaluation.tests[0].system.scores:
        facts[metric_label(name)] = _signatures(
            evaluation, [one.system.scores[name] for one in evaluation.tests]
        )
    if evaluation.baseline is not None:
        tested = [next(iter(one.significance.values())) for one in evaluation.tests]
        facts["comparison"] = _signatures(evaluation, tested)
    listed = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value
    )
    return f"<dl>{listed}</dl>"


def _signatures(evaluation: Evaluation, found: Sequence[Score | Significance]) -> str:
    """One for all test sets; where they differ, as in the number of references, each with those it is of."""
    labels: dict[str, list[str]] = {}
    for test, one in zip(evaluation.tests, found, strict=True):
        labels.setdefault(one.signature, []).append(test.test_set.label)
    if len(labels) == 1:
        return next(iter(labels))
    return "; ".join(f"{signature} ({', '.join(named)})" for signature, named in labels.items())


def _decoding(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items() if value is not None)


def _overview(evaluation: Evaluation) -> str:
    """A row for each test set; beside a baseline also the difference and whether it is more than chance."""
    metrics = list(evaluation.tests[0].system.scores)
    head = ["test set", "sentences", *map(metric_label, metrics)]
    body = [
        [test.test_set.label, f"{len(test.test_set):,}", *(_overview_cell(test, name) for name in metrics)]
        for test in evaluation.tests
    ]
    if evaluation.baseline is None:
        return _table(head, body)
    note = f"In brackets the difference from {evaluation.baseline}; *: more than chance (p < {LEVEL})."
    return f"{_table(head, body)}<p>{escape(note)}</p>"


def _overview_cell(test: TestScores, name: str) -> str:
    own = f"{test.system.scores[name].value:.2f}"
    if test.baseline is None:
        return own
    found = test.significance[name]
    return f"{own} ({found.difference:+.2f}{'*' if found.is_significant else ''})"


def _test(evaluation: Evaluation, number: int, extras: Extras) -> str:
    test = evaluation.tests[number]
    _, *below = tables(evaluation, test)  # the scores stand at the top of the page
    shown = "".join(_rows(rows) for rows in below)
    took = "".join(f"<p>{escape(line)}</p>" for line in speeds(evaluation, test))
    names = ", ".join(METRICS[name] for name in test.system.scores)
    picture = _picture(score_by_length(evaluation, test), f"{names} by length of the {measured(test)}")
    return (
        f"<section>\n<h2>{escape(test.test_set.label)}</h2>\n"
        f'<p class="files">{escape(" + ".join(test.test_set.names))}</p>\n{shown}{took}\n{picture}\n'
        f"{_examples(evaluation, test, extras.num_examples)}{_attention(evaluation, number, extras)}"
        "</section>"
    )


def _examples(evaluation: Evaluation, test: TestScores, count: int) -> str:
    chosen = choose_examples(test, count)
    lists = (
        ("Worst translations", "By chrF of the sentence, those with short references last.", chosen.worst),
        (f"Further from the reference than {evaluation.baseline}", "Largest loss first.", chosen.lost),
        (f"Nearer to the reference than {evaluation.baseline}", "Largest gain first.", chosen.won),
    )
    return "".join(
        f"<h3>{escape(title)}</h3>\n<p>{note}</p>\n"
        + "".join(_example(evaluation, test, one) for one in examples)
        for title, note, examples in lists
        if examples
    )


def _example(evaluation: Evaluation, test: TestScores, one: Example) -> str:
    references = [wanted[one.index] for wanted in test.test_set.all_references]
    source, text = test.test_set.sources[one.index], test.system.translations.texts[one.index]
    lines = [
        *([("source", escape(source), evaluation.source)] if test.test_set.has_sources else []),
        *(("reference", escape(wanted), evaluation.target) for wanted in references),
        (f"{evaluation.system}, chrF {one.chrf:.1f}", _marked(text, references), evaluation.target),
    ]
    if test.baseline is not None and one.baseline_chrf is not None:
        other = test.baseline.translations.texts[one.index]
        label = f"{evaluation.baseline}, chrF {one.baseline_chrf:.1f}"
        lines.append((label, _marked(other, references), evaluation.target))
    listed = "".join(
        f'<dt>{escape(name)}</dt><dd lang="{escape(language)}" dir="auto">{text}</dd>'
        for name, text, language in lines
    )
    return f'<dl class="example"><dt>line</dt><dd>{one.index + 1:,}</dd>{listed}</dl>\n'


def _marked(text: str, references: Sequence[str]) -> str:
    """What differs from the nearest reference."""
    scores = sentence_chrf([text] * len(references), references)
    return marked(text, max(zip(scores, references, strict=True), key=lambda pair: pair[0])[1])


def _attention(evaluation: Evaluation, number: int, extras: Extras) -> str:
    names = [str(evaluation.system), *([str(evaluation.baseline)] if evaluation.baseline else [])]
    places = [place for place in extras.attention[0] if place[0] == number and extras.attention[0][place]]
    if not places:
        return ""
    shown = []
    for place in places:
        maps = [
            _map(name, one)
            for name, of_system in zip(names, extras.attention, strict=True)
            for one in of_system.get(place, ())
        ]
        text = evaluation.tests[number].test_set.sources[place[1]]
        shown.append(
            f'<div class="sentence"><h4 lang="{escape(evaluation.source)}" dir="auto">{escape(text)}</h4>\n'
            f'<div class="maps">{"".join(maps)}</div></div>\n'
        )
    note = (
        "Source tokens above, target tokens on the left, from a bad to a good translation. The stronger a "
        "cell, the more the model looked at the source token when it chose the target token: the mean of "
        "the heads of the layer that aligns words best."
    )
    return f'<h3>Attention</h3>\n<p>{note}</p>\n<div class="maps">{"".join(shown)}</div>'


def _map(name: str, one: AttentionMap) -> str:
    return (
        f'<figure tabindex="0"><figcaption>{escape(name)}, decoder layer {one.layer + 1}</figcaption>'
        f"{attention_picture(one)}<details><summary>every head</summary>{every_head(one)}</details></figure>"
    )


def _curves(curves: Sequence[Picture]) -> str:
    if not curves:
        return ""
    shown = "".join(
        f"<h3>{escape(one.title)}</h3>{_picture(one.uri, f'training curves of {one.title}')}"
        for one in curves
    )
    return f"<section>\n<h2>Training</h2>\n{shown}\n</section>\n"


def _picture(uri: str, said: str) -> str:
    return _wide(f'<img class="picture" src="{uri}" alt="{escape(said)}">')


def _rows(rows: Rows) -> str:
    return _table(rows.head, rows.body, last_is_text=rows.notes)


def _table(head: Sequence[str], body: Sequence[Sequence[str]], last_is_text: bool = False) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in body)
    kind = ' class="notes"' if last_is_text else ""
    return _wide(f"<table{kind}><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>")


def _wide(shown: str) -> str:
    """What may be wider than the window has a bar of its own, which keys reach as well as fingers."""
    return f'<div class="wide" tabindex="0">{shown}</div>\n'
