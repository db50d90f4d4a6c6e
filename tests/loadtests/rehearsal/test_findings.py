"""What is told of an act is what its requests came to; a promise is held against what was in flight."""

from __future__ import annotations

from pathlib import Path

from loadtests.rehearsal.acts import ACTS, Allowed
from loadtests.rehearsal.findings import Played, finding, findings, is_kept, reasons
from loadtests.rehearsal.outcome import CUT, FAILED, OK, REFUSED, STREAM, TRANSLATION, Outcome, read_outcomes
from loadtests.rehearsal.performance import Rehearsal
from loadtests.rehearsal.report import picture, table, timeline, to_json, together
from loadtests.rehearsal.stage import Event


def outcome(ended: float, what: str = OK, kind: str = TRANSLATION, seconds: float = 0.5) -> Outcome:
    return Outcome(kind, ended - seconds, ended, what, "because" if what != OK else "")


def played(number: int, began: float, ended: float) -> Played:
    return Played(ACTS[number], began, ended, Allowed(), retries=3)


def test_a_request_belongs_to_the_act_in_which_it_ended_and_none_is_lost() -> None:
    acts = [played(0, 10.0, 20.0), played(1, 20.0, 30.0)]
    outcomes = [
        outcome(9.9),
        outcome(10.0),
        outcome(20.0, seconds=5),
        outcome(29.0, CUT, STREAM),
        outcome(35.0),
    ]
    first, second = findings(acts, outcomes)
    assert (first.count(TRANSLATION, OK), first.spoilt) == (1, 0)  # before the first act nothing counts
    assert (second.count(TRANSLATION, OK), second.count(STREAM, CUT), second.spoilt) == (2, 1, 1)
    assert second.slowest_ms == 5000
    assert (first.is_kept, second.is_kept) == (True, False)


def test_refusals_are_neither_answers_nor_spoilt() -> None:
    found = finding(played(0, 0.0, 9.0), [outcome(1.0, REFUSED, seconds=3), outcome(2.0)])
    assert (found.count(TRANSLATION, REFUSED), found.spoilt, found.is_kept) == (1, 0, False)
    assert found.slowest_ms == 500


def test_only_what_was_in_flight_may_be_lost_in_a_kill() -> None:
    allowed = Allowed(spoilt=1, counted=10.0, end=10.2)
    before, meanwhile, after = (outcome(12.0, FAILED, seconds=12.0 - began) for began in (9.0, 10.1, 10.3))
    assert is_kept(allowed, [before], refused=0)
    assert is_kept(allowed, [before, meanwhile, meanwhile], refused=0)
    assert not is_kept(allowed, [before, before], refused=0)
    assert not is_kept(allowed, [after], refused=0)
    assert not is_kept(Allowed(), [before], refused=0)


def test_refusals_are_in_order_only_where_a_queue_is_filled() -> None:
    assert is_kept(Allowed(refusals=True), [], refused=3)
    assert not is_kept(Allowed(), [], refused=1)


def test_reasons_come_with_how_often_they_were_heard() -> None:
    outcomes = [outcome(1.0), outcome(2.0, FAILED), outcome(3.0, FAILED), outcome(4.0, CUT, STREAM)]
    assert reasons(outcomes) == {"translation failed: because": 2, "stream cut: because": 1}


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    assert list(read_outcomes(file)) == []
    one = outcome(1.0, FAILED)
    file.write_text(one.line() + one.line()[:-5])
    assert list(read_outcomes(file)) == [one]


def test_every_second_is_told_and_every_request_once() -> None:
    outcomes = [outcome(10.0 + 0.1 * number) for number in range(50)] + [outcome(13.0, CUT, STREAM)]
    rehearsal = Rehearsal([played(0, 10.0, 15.0)], [Event(11.0, "r1", "SIGTERM")], outcomes)
    seconds = timeline(rehearsal)
    assert [one.at for one in seconds] == [0, 1, 2, 3, 4, 5]
    assert sum(one.translations for one in seconds) == 50
    assert [one.bad for one in seconds] == [0, 0, 0, 1, 0, 0]
    assert to_json(rehearsal)["events"] == ["1.00 s: r1 SIGTERM"]
    assert to_json(rehearsal)["each_second"]["failed_or_broken"] == "0 0 0 1 0 0"
    assert table("one", rehearsal).rows[0][3] == "50"
    assert picture({"one": rehearsal, "two": rehearsal}).startswith(b"\x89PNG")


def test_what_happens_together_has_one_label() -> None:
    events = [Event(1.0, "r1", "drained"), Event(1.5, "r1", "SIGTERM"), Event(4.0, "r1", "ended")]
    assert together(events) == [(1.0, "r1 drained, r1 SIGTERM"), (4.0, "r1 ended")]
