"""The report is one page that needs nothing else, and says what was seen."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from loadtests.traffic.plan import Asking
from loadtests.traffic.run import Run
from loadtests.traffic.samples import FAILED, REFUSED
from loadtests.traffic.windows import CLOSED, OPEN, Level, Window
from loadtests.traffic_report.page import cautions, html, markdown
from loadtests.traffic_report.pictures import pictures
from loadtests.traffic_report.publish import publish_run
from tests.loadtests.traffic.builders import run_of, sample, stream, window

LEVELS = (Level(CLOSED, 1), Level(CLOSED, 8), Level(OPEN, 20.0, "poisson"), Level(OPEN, 10.0, "bursts"))
SVG = "{http://www.w3.org/2000/svg}"


def at(level: Level, number: int) -> Window:
    answers = [sample(n / 100, 0.05 + n / 1000) for n in range(90)]
    streams = [stream(n / 10, 0.1, 0.2 + n / 50) for n in range(9)]
    wrong = [sample(0.2, 0.01, REFUSED), sample(0.3, 0.01, FAILED)]
    return window([*answers, *streams, *wrong], 1.0, number, level)


def busy(**changes: object) -> Run:
    run = run_of([at(level, number) for number in range(2) for level in LEVELS])
    return dataclasses.replace(run, **changes)  # type: ignore[arg-type]


def test_the_page_holds_every_level_and_picture_and_asks_nobody() -> None:
    page = html(busy())
    for level in LEVELS:
        assert page.count(f"<td>{level.name}</td>") >= 4
    assert page.count("<svg ") == len(pictures(busy())) == 6  # one metric of three was not on the page
    assert re.findall(r"(?:src|href|url\()", page) == []
    assert set(re.findall(r"https?://[^\s\"<]*", page)) == {"http://www.w3.org/2000/svg"}


def test_pictures_are_well_formed_and_draw_what_is_there() -> None:
    drawn = [ElementTree.fromstring(text) for text in pictures(busy())]
    texts = [[node.text for node in one.iter(f"{SVG}text")] for one in drawn]
    assert "Latency over throughput" in texts[0]
    assert all(level.name in texts[0] for level in LEVELS)
    assert len(list(drawn[0].iter(f"{SVG}polyline"))) == 6  # three percentiles in two loops
    bars = [one.find(f"{SVG}title") for one in drawn[1].iter(f"{SVG}rect")]
    told = [title.text for title in bars if title is not None]
    assert "8 users: 2 of 202 refused (429, 503)" in told
    assert not any("nan" in text for text in pictures(busy()))


@pytest.mark.parametrize(
    "windows",
    [[window([])], [window([sample(outcome=FAILED)])], [window([sample()], level=Level(CLOSED, 1))]],
)
def test_a_run_with_little_in_it_still_makes_a_page(windows: list[Window]) -> None:
    bare = [dataclasses.replace(one, scrapes=[]) for one in windows]
    for run in (run_of(windows), run_of(bare), run_of(windows, asking=Asking(traffic="translate=1"))):
        assert "</html>" in html(run)
        assert "nan" not in html(run)


def test_what_a_server_says_of_itself_is_text_and_no_markup() -> None:
    page = html(busy(facts={"server": "<script>alert(1)</script>"}, notes=["<b>"]))
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<p class="note">&lt;b&gt;</p>' in page


def test_a_late_load_generator_is_told() -> None:
    late = run_of([window([sample(n / 10, 0.5, sent=n / 10 + 0.3) for n in range(9)])])
    assert "itself was up to 300 ms late" in cautions(late)[0]
    seldom = window([sample(-0.5)], level=Level(OPEN, 0.1, "poisson"))  # nothing was due in it
    assert cautions(run_of([seldom, *late.windows])) == cautions(late)
    assert cautions(run_of([seldom])) == []
    assert cautions(busy()) == []


def test_all_files_are_written_under_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish_run(busy(), tmp_path, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json", "a.md", "a.svg"]
    text = (tmp_path / "a.md").read_text()
    assert text == markdown(busy(), "a.svg")
    assert "| 8 users | 202 |" in text
    ElementTree.parse(tmp_path / "a.svg")
    printed = capsys.readouterr().out
    assert "Refused and failed" in printed
    assert "status 500" in printed


@pytest.mark.browser
def test_a_browser_shows_the_page_wide_and_narrow_without_a_complaint(
    tmp_path: Path, chromium_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    from tests.end_to_end.page_visit import CHROMIUM_ARGUMENTS

    publish_run(busy(), tmp_path, "a")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_ARGUMENTS)
        page = browser.new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        page.on("console", lambda one: said.append(one.text))
        for width in (1360, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto((tmp_path / "a.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            boxes = page.evaluate(
                "[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height)"
            )
            assert len(boxes) == 6
            assert min(boxes) > 100
            reached = page.evaluate("[...document.querySelectorAll('.wide')].map(one => one.tabIndex)")
            assert set(reached) == {0}  # by keys, where tables are wider than the window
        assert {url.partition(":")[0] for url in asked} == {"file"}
        assert said == []
        browser.close()
