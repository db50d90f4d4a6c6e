"""Which model serves a pair: with many-to-many models too, whose pairs nobody may list to find one."""

from __future__ import annotations

import time

import pytest

from model.directions import Directions
from service.errors import InvalidRequest, LanguageNotAvailable
from service.metrics import MAX_PAIRS, Metrics
from service.registry import MAX_REMEMBERED, ModelRegistry, ServedModel, require_one_target
from tests.fakes import FakeEngine, served_model

CODES = [f"x{first}{second}_Latn" for first in "abcdefghijklmno" for second in "abcdefghijklmn"]


def many(name: str = "many") -> ServedModel:
    return served_model(FakeEngine(), name, Directions.product(CODES, CODES))


def test_a_pair_of_a_many_to_many_model_is_found_without_listing_them() -> None:
    registry = ModelRegistry([many(), served_model(FakeEngine(), "few", (("xaa_Latn", "xab_Latn"),))])
    started = time.perf_counter()
    for number in range(50):
        found = registry.select(None, "xaa", CODES[1 + number])
    seconds = (time.perf_counter() - started) / 50
    assert [(route.model.name, route.pair) for route in found] == [("many", f"xaa_Latn-{CODES[50]}")]
    assert seconds < 0.02, "44 000 pairs take longer to list alone"
    assert [route.model.name for route in registry.select(None, "xaa", "xab")] == ["few", "many"]


def test_of_ways_to_ask_for_a_route_no_more_are_remembered_than_a_bound_says() -> None:
    registry = ModelRegistry([served_model(FakeEngine())])
    ways = [f"de-x-{number}" for number in range(2 * MAX_REMEMBERED)]
    for _ in range(2):
        assert {registry.select(None, "en", way)[0].pair for way in ways} == {"en-de"}
    assert len(registry._selected) == MAX_REMEMBERED


def test_what_is_left_open_is_every_route_that_fits_and_a_target_has_to_be_named() -> None:
    registry = ModelRegistry([many()])
    into = registry.select(None, None, "xab")
    assert [route.source for route in into] == [code for code in CODES if code != "xab_Latn"]
    with pytest.raises(InvalidRequest, match="target"):
        require_one_target(registry.select(None, "xaa", None))


def test_a_refusal_of_a_pair_lists_what_is_near_and_not_forty_thousand_pairs() -> None:
    with pytest.raises(LanguageNotAvailable) as caught:
        ModelRegistry([many()]).select(None, "xaa", "xaa")
    assert caught.value.faults[0].value == "xaa_Latn-xaa_Latn"
    assert caught.value.faults[0].bound.count(", ") == len(CODES) - 2


def test_targets_and_languages_are_told_sorted() -> None:
    registry = ModelRegistry([many(), served_model(FakeEngine(), "few", (("xaa_Latn", "de"),))])
    assert registry.targets_of("xaa_Latn") == sorted({"de", *CODES} - {"xaa_Latn"})
    assert registry.languages == sorted({"de", *CODES})
    assert registry.targets_of("de") == []


def test_metrics_keep_a_bounded_number_of_pairs_apart() -> None:
    metrics = Metrics()
    for number in range(2 * MAX_PAIRS):
        metrics.answered("/v1/translate", f"a-b{number}", 200, 0.1)
        metrics.answered("/v1/translate", "a-b0", 200, 0.1)
    labels = {"route": "/v1/translate", "code": "200"}
    value = metrics.registry.get_sample_value
    assert value("verto_requests_total", {**labels, "pair": "other"}) == MAX_PAIRS
    assert value("verto_requests_total", {**labels, "pair": "a-b0"}) == 2 * MAX_PAIRS + 1
    assert value("verto_requests_total", {**labels, "pair": f"a-b{MAX_PAIRS}"}) is None
