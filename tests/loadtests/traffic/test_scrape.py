"""Pages of metrics become numbers, and what is no page is none."""

from __future__ import annotations

import time

from loadtests.traffic.address import read_address
from loadtests.traffic.run import _with_scrapes
from loadtests.traffic.scrape import NAMES, Scraper, read_page
from loadtests.traffic.windows import Scrape
from service.metrics import Metrics
from tests.fakes import FakeEngine, served_model
from tests.loadtests.traffic.builders import sample, window
from tests.loadtests.traffic.fake_server import FakeServer, running


def test_the_names_are_those_of_the_servers_page() -> None:
    metrics = Metrics()
    models = [served_model(FakeEngine())]
    metrics.watch(lambda: models)
    metrics.refused("overloaded")
    metrics.refused("draining")
    page, _ = metrics.exposition("text/plain")
    found = read_page(page)
    assert set(NAMES) <= {*found, "engine_restarts_total", "cancelled_total"}
    assert (found["running_rows"], found["rejected_total"]) == (4.0, 2.0)


def test_what_is_no_page_has_no_numbers() -> None:
    assert read_page(b"<html>not found</html> {") == {}
    assert read_page(b"other 1\n") == {}


def test_a_server_is_scraped_until_the_block_ends() -> None:
    with running(FakeServer()) as server, Scraper(read_address(server.url), 0.05) as scraper:
        deadline = time.monotonic() + 20
        while len(scraper.scrapes()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert scraper.scrapes()[0].values == {"running_rows": 7.0, "backlog_seconds": 0.25}
    assert scraper.fault == ""


def test_a_server_without_metrics_is_told_and_a_dead_one_too() -> None:
    with running(FakeServer(metrics_status=404)) as server:
        with Scraper(read_address(server.url), 0.05) as scraper:
            time.sleep(0.5)
        assert (scraper.scrapes(), scraper.fault) == ([], "GET /metrics: status 404")
    with Scraper(read_address(server.url), 0.05) as scraper:
        time.sleep(0.5)
    assert "refused" in scraper.fault


def test_a_window_gets_the_pages_from_its_first_request_to_its_last_answer() -> None:
    one = window([sample(-0.5), sample(0.9, 2.0)], 1.0)  # begins at second 1000
    pages = [Scrape(at, {}) for at in (999.4, 999.6, 1000.5, 1002.8, 1003.0)]
    (found,) = _with_scrapes([one], pages)
    assert [page.at for page in found.scrapes] == [-0.4, 0.5, 2.8]
