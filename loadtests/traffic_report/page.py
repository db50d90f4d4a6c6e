"""A run as a page of HTML that asks nobody for anything, and as Markdown for a repository.

Knows: facts, tables, pictures, what a reader must know of them. Must not know: files.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from loadtests.report import Figures
from loadtests.traffic import limits
from loadtests.traffic.kinds import read_mix
from loadtests.traffic.run import Run
from loadtests.traffic.tables import FEWEST_FOR_P99, faults, lateness, tables
from loadtests.traffic_report.pictures import pictures

TITLE = "A server under load"
LATE_MS = 50.0  # that the load generator may be behind before its figures are doubted
_STYLE = Path(__file__).with_name("style.css")


def explained(run: Run) -> list[str]:
    """What the words of the tables mean in this run."""
    kept = limits.told(run.plan.limits, read_mix(run.plan.asking.traffic).kinds)
    rounds = "once" if run.plan.rounds == 1 else f"{run.plan.rounds} times, in turn,"
    return [
        "Users wait for their answers before they ask again (closed loop, by locust): a slow server is asked "
        "less. Rates (as 5/s) are kept whatever the server does (open loop), and a latency counts from the "
        f"moment when the request was due. Every level was measured {rounds} for {run.plan.seconds:g} s.",
        f"Good: answered whole and within its limits ({kept}). Refused: status 429 or 503, before any work. "
        "Failed: all else. Answered a second: what came back within the windows. Good a second: what was due "
        "in them, so that in short windows it may be the larger.",
        "First text: until a stream shows its first piece. Between pieces: from one to the next; beam search "
        "sends several tokens at a time. Per token: the time behind the first piece over the tokens.",
        f"*: fewer than {FEWEST_FOR_P99} answers, so that p99 is the slowest of them.",
    ]


def cautions(run: Run) -> list[str]:
    """What makes figures doubtful."""
    late = lateness(run)
    found = [*([run.stopped] if run.stopped else []), *run.notes]
    if late > LATE_MS:
        found.append(
            f"The load generator itself was up to {late:.0f} ms late (p99 of the worst level): it needs more "
            "of the machine, or a machine of its own."
        )
    return found


def html(run: Run) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in run.facts.items())
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in cautions(run))
    drawn = "\n".join(pictures(run))
    read = "".join(f"<p>{escape(line)}</p>" for line in explained(run))
    listed = "\n".join(_table(one) for one in _all_tables(run))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{TITLE}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n<h1>{TITLE}</h1>\n"
        f'<dl>{facts}</dl>\n{notes}\n<div class="pictures">\n{drawn}\n</div>\n{listed}\n'
        f"<h2>How to read this</h2>\n{read}\n</main>\n</body>\n</html>\n"
    )


def _all_tables(run: Run) -> list[Figures]:
    wrong = faults(run)
    return tables(run) + ([wrong] if wrong else [])


def _table(one: Figures) -> str:
    head = _cells(one.columns, "th")
    rows = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in one.rows)
    return (
        f'<h2>{escape(one.title)}</h2>\n<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(texts: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def markdown(run: Run, picture: str) -> str:
    """`picture` is the file name of the curve."""
    facts = "\n".join(f"- {name}: {value}" for name, value in run.facts.items())
    listed = "\n".join(one.markdown() for one in _all_tables(run))
    parts = [f"# {TITLE}", facts, *cautions(run), f"![{TITLE}]({picture})", listed.strip(), *explained(run)]
    return "\n\n".join(parts) + "\n"
