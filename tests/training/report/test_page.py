"""The report is one page that needs nothing else, and shows what was measured."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import pyplot

from tests.training.report.evaluations import SOURCES, evaluation
from tests.training.report.test_attention import MAP
from training.curves import METRICS_FILE, kept_metrics
from training.evaluation_scores import Evaluation
from training.report.curves import bundle_curves
from training.report.page import Extras, page
from training.report.pictures import score_by_length

RUN = [{"step": n, "loss": 9.0 - n, "dev_loss": 8.0, "dev_bleu": 3.0 * n} for n in range(1, 4)]
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def bundles(folder: Path) -> dict[str, Path]:
    for name in ("new", "newer", "old", "bare"):
        (folder / name).mkdir()
    for name in ("new", "newer"):
        (folder / name / METRICS_FILE).write_bytes(kept_metrics(RUN))
    (folder / "old" / "curves.png").write_bytes(PIXEL)
    return {name: folder / name for name in ("new", "newer", "old", "bare")}


def shown(evaluated: Evaluation, **curves: Path) -> str:
    maps = {(0, 1): [MAP]}
    of_systems = [maps, maps] if evaluated.baseline else [maps]
    return page(evaluated, Extras(bundle_curves(curves), of_systems, 10))


def test_the_page_holds_everything_and_asks_nobody(tmp_path: Path) -> None:
    text = shown(evaluation("news", "talks", with_baseline=True), **bundles(tmp_path))
    assert set(re.findall(r"(?:src|href|url\()=?\"?([a-z]+:)", text)) == {"data:"}
    assert "http" not in text
    for said in (
        "en-de 2",
        "en-de 1",
        "news",
        "talks",
        "Worst translations",
        "Attention",
        "every head",
        "|bs:100|",
    ):
        assert said in text
    assert text.count('alt="BLEU, chrF, TER by length of the sentence"') == 2
    assert text.count("<figure ") == 2  # of one sentence, by both
    assert text.count("training curves of") == 2
    assert "training curves of new and newer" in text


def test_texts_are_text_and_no_markup() -> None:
    text = shown(evaluation(with_baseline=True))
    assert "It &lt;rained&gt; &amp; it rained." in text
    assert "&lt;b&gt;schneite&lt;/b&gt;" in text
    assert "<rained>" not in text
    assert "<b>" not in text
    assert SOURCES[1] in text


def test_one_system_has_no_comparison_and_no_empty_headings() -> None:
    text = page(evaluation(), Extras([], [{}], 10))
    for absent in ("against", "baseline", "Further", "Attention", "Training"):
        assert absent not in text


def test_the_same_evaluation_is_the_same_page(tmp_path: Path) -> None:
    found = bundles(tmp_path)
    assert shown(evaluation(), **found) == shown(evaluation(), **found)


def test_score_by_length_is_drawn_and_no_figure_stays_open() -> None:
    found = evaluation(with_baseline=True)
    kind, _, content = score_by_length(found, found.tests[0]).partition(",")
    assert kind == "data:image/svg+xml;base64"
    drawn = ElementTree.fromstring(base64.b64decode(content))
    texts = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"BLEU", "chrF", "TER, lower is better", "up to 3", "en-de 2", "en-de 1 (baseline)"} <= set(texts)
    assert pyplot.get_fignums() == []


def texts_of(picture: str) -> list[str]:
    drawn = ElementTree.fromstring(base64.b64decode(picture.partition(",")[2]))
    return [str(node.text).strip() for node in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_where_nobody_knows_the_sentences_the_lengths_are_said_to_be_those_of_the_references() -> None:
    found = evaluation()
    (known,) = found.tests
    unknown = replace(known, test_set=replace(known.test_set, has_sources=False))
    for test, said in ((known, "sentence"), (unknown, "reference")):
        assert f"words of the {said} (sentences)" in texts_of(score_by_length(found, test))
        assert f"by length of the {said}" in shown(replace(found, tests=(test,)))


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("a$x_{$.de", "a$x_{$.de"),
        ("$2$ and $3", "$2$ and $3"),
        ("_out.de", "_out.de"),
        ("bell\x07 byte\udcff", "bell\ufffd byte\ufffd"),
    ],
)
def test_names_of_any_characters_stand_in_the_legends(tmp_path: Path, name: str, drawn: str) -> None:
    found = evaluation(with_baseline=True)
    found = replace(found, system=replace(found.system, label=name))
    assert drawn in texts_of(score_by_length(found, found.tests[0]))
    (curves,) = bundle_curves({name: bundles(tmp_path)["new"]})
    assert f"{drawn}: dev" in texts_of(curves.uri)


def test_curves_of_runs_that_kept_numbers_are_drawn_together(tmp_path: Path) -> None:
    found = bundle_curves(bundles(tmp_path))
    assert [one.title for one in found] == ["new and newer", "old"]
    assert found[1].uri == f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    assert bundle_curves({"bare": tmp_path / "bare"}) == []


@pytest.mark.browser
def test_a_browser_shows_the_page_wide_and_narrow_without_a_complaint(
    tmp_path: Path, chromium_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    from tests.end_to_end.page_visit import CHROMIUM_ARGUMENTS

    (tmp_path / "page.html").write_text(
        shown(evaluation(with_baseline=True), **bundles(tmp_path)), encoding="utf-8"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_ARGUMENTS)
        visited = browser.new_page()
        asked: list[str] = []
        said: list[str] = []
        visited.on("request", lambda one: asked.append(one.url.partition(":")[0]))
        visited.on("console", lambda one: said.append(one.text))
        for width in (1360, 390):
            visited.set_viewport_size({"width": width, "height": 800})
            visited.goto((tmp_path / "page.html").as_uri())
            assert visited.evaluate("document.documentElement.scrollWidth") <= width
            images = visited.evaluate("[...document.images].map(one => one.naturalWidth)")
            assert len(images) == 3
            assert min(images) > 0
            rows = visited.evaluate("[...document.querySelectorAll('tr')].map(one => one.offsetHeight)")
            assert max(rows) < 100  # not a letter a line
            # The score by length is drawn 1,210 pixels wide; at a third of that nobody reads it.
            assert visited.evaluate("document.images[0].offsetWidth") > 900
        visited.get_by_text("every head").first.click()
        assert visited.locator("svg.small").first.is_visible()
        assert (set(asked), said) == ({"file"}, [])
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_barrier(tmp_path: Path, chromium_path: Path, width: int) -> None:
    axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core here")
    from playwright.sync_api import sync_playwright

    from tests.end_to_end.page_visit import CHROMIUM_ARGUMENTS

    text = shown(evaluation("news", "talks", with_baseline=True), **bundles(tmp_path))
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_ARGUMENTS)
        visited = browser.new_page(viewport={"width": width, "height": 800})
        visited.goto((tmp_path / "page.html").as_uri())
        found = axe_playwright.Axe().run(visited).response["violations"]
        browser.close()
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_names_as_long_as_paths_leave_room_for_the_pictures(tmp_path: Path) -> None:
    """What does not fit is a warning of matplotlib's, and warnings are errors here."""
    long = "/a/folder/of/some/depth/" * 5 + "en-de"
    evaluated = evaluation(with_baseline=True)
    named = replace(evaluated, system=replace(evaluated.system, label=long))
    assert "svg" in score_by_length(named, named.tests[0])
    assert len(bundle_curves({long: bundles(tmp_path)["new"], f"{long}-2": tmp_path / "newer"})) == 1
