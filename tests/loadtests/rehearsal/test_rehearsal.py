"""Real servers behind a real balancer: nobody notices a planned restart, and a kill costs what ran there."""

from __future__ import annotations

import pytest
import typer

from loadtests.rehearsal.__main__ import chosen_acts
from loadtests.rehearsal.acts import ACTS
from loadtests.rehearsal.balancer import PLAIN, found_program
from loadtests.rehearsal.findings import reasons
from loadtests.rehearsal.outcome import HUNG, OK, STREAM, TRANSLATION
from loadtests.rehearsal.performance import Plan, rehearse

OPTIONS = ("--num-threads", "1", "--log-level", "warning")


@pytest.mark.slow
@pytest.mark.skipif(found_program() is None, reason="no haproxy is installed")
def test_a_planned_restart_is_not_noticed_and_a_kill_costs_what_ran_there() -> None:
    """The balancer asks nobody twice, so that what is lost is seen."""
    acts = chosen_acts(["planned", "signalled", "killed", "engine"])
    plan = Plan(
        acts, users=9, texts=50, options=OPTIONS, drain_delay_seconds=2.5, calm_seconds=1.0, retry_on=PLAIN
    )
    rehearsal = rehearse(plan)
    told = str(reasons(rehearsal.outcomes))
    planned, signalled, killed, engine = rehearsal.findings
    for restart in (planned, signalled, engine):
        assert restart.spoilt == 0, told
        assert restart.is_kept, told  # and nobody was refused
    assert killed.is_kept, told
    for act in rehearsal.findings:
        assert act.count(TRANSLATION, OK) > 0, told
        assert act.count(STREAM, OK) > 0, told
        assert act.count(STREAM, HUNG) == act.count(TRANSLATION, HUNG) == 0, told


def test_acts_are_played_in_their_own_order() -> None:
    assert [one.name for one in chosen_acts(["engine", "calm"])] == ["calm", "engine"]
    assert chosen_acts([one.name for one in ACTS]) == list(ACTS)


def test_an_unknown_act_is_told_with_those_that_there_are() -> None:
    with pytest.raises(typer.BadParameter, match=r"unknown act 'nope'; choose from calm, planned, "):
        chosen_acts(["calm", "nope"])
