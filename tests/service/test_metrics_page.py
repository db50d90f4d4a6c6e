"""docs/metrics.md names every metric of a scrape with its type and labels; promtool finds no fault."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from tests.contracts.project import ROOT
from tests.fakes import FakeEngine, served_model
from tests.service.http_client import app_client

PAGE = ROOT / "docs" / "metrics.md"
_ROW = re.compile(r"\| `(verto_\w+)` \| (\w+) \|([^|]*)\|([^|]+)\|")


@dataclass(frozen=True)
class Documented:
    """A row of the page."""

    kind: str
    labels: frozenset[str]


def documented() -> dict[str, Documented]:
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len({name for name, *_ in rows}) == len(rows), "a metric stands there twice"
    return {name: Documented(kind, frozenset(re.findall(r"`(\w+)`", cell))) for name, kind, cell, _ in rows}


@cache
def exposition() -> str:
    """A scrape of a server that has translated and refused."""
    client: TestClient = app_client(served_model(FakeEngine()))
    client.post("/v1/translate", json={"text": "One.", "source": "en"})
    client.post("/v1/translate", json={"text": "One.", "beam_size": 0})
    return client.get("/metrics").text


def defined_labels() -> dict[str, frozenset[str]]:
    """Name to the labels of metrics that are counted as things happen."""
    one = Metrics()
    counted = [metric for metric in vars(one).values() if hasattr(metric, "_labelnames")]
    return {f"{metric._name}": frozenset(metric._labelnames) for metric in counted}


def shown() -> dict[str, tuple[str, frozenset[str]]]:
    """Name to type and labels. Families without samples have their labels from elsewhere: none."""
    found = {}
    for family in text_string_to_metric_families(exposition()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = family.type, frozenset(labels) | defined_labels().get(family.name, frozenset())
    return found


def test_the_page_names_every_metric_and_no_other() -> None:
    assert set(documented()) == set(shown())


def test_types_and_labels_on_the_page_are_those_of_the_scrape() -> None:
    page = documented()
    wrong = {
        name: (page[name], kind, labels)
        for name, (kind, labels) in shown().items()
        if page[name].kind != kind or (labels and page[name].labels != labels)
    }
    assert wrong == {}


def test_every_value_that_the_page_gives_a_reason_is_one() -> None:
    (row,) = [line for line in PAGE.read_text().splitlines() if "verto_rejected_total" in line]
    reasons = set(re.findall(r'verto_rejected_total\{reason="(\w+)"\}', exposition()))
    assert reasons == set(re.findall(r"`(\w+)`", row.split("|")[4]))


def test_durations_of_requests_are_told_apart_from_5_ms_to_30_s() -> None:
    """Of the design, section 6; alerts at 10 s need a bound there."""
    bounds = re.findall(r'verto_request_duration_seconds_bucket\{le="([\d.]+)"', exposition())
    numbers = sorted({float(bound) for bound in bounds})
    assert (numbers[0], numbers[-1]) == (0.005, 30.0)
    assert 10.0 in numbers
    assert "5 ms to 30 s" in PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_no_fault_in_a_scrape() -> None:
    check = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposition(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (check.returncode, check.stdout + check.stderr) == (0, "")
