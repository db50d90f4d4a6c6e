"""The web page as a person meets it: in a browser, over the network, with the real app over fake engines.

The engine writes back in capitals what it was given, a few characters at a time, and stands still after the
first ones where a test says so.
"""

import re
import time
from collections.abc import Iterator
from typing import Literal

import pytest

from service.app import create_app
from service.engine.errors import EngineOverloaded, StepFailed
from service.lifecycle import Lifecycle
from service.settings import Settings
from tests.end_to_end.event_stream_cases import EVENT_STREAM, EVENTS, PARSE_CUT_ANYWHERE
from tests.end_to_end.live_server import live_server
from tests.fakes import fake_translator

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, expect  # noqa: E402

from tests.end_to_end.page_visit import (  # noqa: E402
    LIMIT,
    PATIENCE_MS,
    Stage,
    Visit,
    eventually,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
TEXT = "Where is the station?\n\n  I would like a ticket, please."


@pytest.fixture(autouse=True)
def fresh_engine(stage: Stage) -> Iterator[None]:
    """Every test meets the engine as if it were the first, and none may leave anything running in it."""
    engine = stage.engine
    engine.translate, engine.refuse, engine.fail = str.upper, None, None
    engine.gate, engine.finish_reason = None, "stop"
    engine.requests.clear()
    yield
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while engine.running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not engine.running, "a page that was left still has rows"


@pytest.fixture(scope="module")
def shared_visit(browser: Browser, stage: Stage) -> Iterator[Visit]:
    """One for all tests: a new window takes ten times as long as a page in an old one."""
    context = browser.new_context(locale="de-AT")
    yield Visit(context.new_page(), stage.server.url)
    context.close()


@pytest.fixture
def visit(shared_visit: Visit) -> Iterator[Visit]:
    shared_visit.open()
    yield shared_visit
    shared_visit.leave()


@pytest.fixture
def special_visit(browser: Browser, stage: Stage, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """In a window of its own, made as the test's parameter says."""
    context = browser.new_context(locale="de-AT", **getattr(request, "param", {}))
    visit = Visit(context.new_page(), stage.server.url)
    visit.open()
    yield visit
    visit.leave()
    context.close()


def test_a_translation_appears_while_it_is_made(visit: Visit, stage: Stage) -> None:
    open_gate = stage.hold()
    visit.write("Where is the station?")
    result = visit.page.locator("#result")
    expect(result).to_have_js_property("textContent", "WHE")
    expect(result).to_have_attribute("aria-busy", "true")
    expect(visit.page.locator("#status")).to_have_text("Translating…")
    open_gate()
    visit.expect_result("WHERE IS THE STATION?")
    expect(visit.page.locator("#status")).to_have_text(re.compile(r"^en-de · 21 tokens · [\d.]+ m?s$"))
    assert visit.sent == [
        {
            "text": "Where is the station?",
            "target": "de",
            "strategy": "beam",
            "stream": True,
        }
    ]


def test_layout_and_line_ends_are_kept(visit: Visit) -> None:
    visit.write(TEXT)
    visit.expect_result(TEXT.upper())
    assert visit.page.locator("#result").inner_text() == TEXT.upper()


def test_languages_are_those_that_the_server_has(visit: Visit) -> None:
    source, target = visit.page.get_by_label("Translate from"), visit.page.get_by_label("Translate into")
    assert source.locator("option").all_inner_texts() == ["Detect language", "English", "German"]
    assert target.locator("option").all_inner_texts() == ["Arabic", "English", "German"]
    expect(target).to_have_value("de")  # the browser's language
    source.select_option("English")
    assert target.locator("option").all_inner_texts() == ["Arabic", "German"]
    source.select_option("German")
    assert target.locator("option").all_inner_texts() == ["English"]


def test_swapping_exchanges_languages_and_texts(visit: Visit) -> None:
    page = visit.page
    swap = page.get_by_role("button", name="Swap languages")
    expect(swap).to_be_disabled()  # nothing has been detected yet
    page.get_by_label("Translate from").select_option("en")
    page.get_by_label("Translate into").select_option("ar")
    expect(swap).to_be_disabled()  # there is no way back
    page.get_by_label("Translate into").select_option("de")
    visit.write("Good evening.")
    visit.expect_result("GOOD EVENING.")
    swap.click()
    expect(page.get_by_label("Translate from")).to_have_value("de")
    expect(page.get_by_label("Translate into")).to_have_value("en")
    expect(page.get_by_label("Text to translate")).to_have_value("GOOD EVENING.")
    expect(page.get_by_label("Text to translate")).to_be_focused()
    assert eventually(visit.page, lambda: visit.sent[-1].get("source") == "de")


def test_a_detected_language_is_named(visit: Visit) -> None:
    visit.write("Good evening.")
    visit.expect_result("GOOD EVENING.")
    expect(visit.page.locator("#source-language option:checked")).to_have_text("English (auto)")
    visit.page.get_by_role("button", name="Clear text").click()
    expect(visit.page.locator("#source-language option:checked")).to_have_text("Detect language")


@pytest.mark.parametrize("target", ["de", "ar"])
def test_a_text_that_does_not_go_into_the_target_is_translated_into_another(
    visit: Visit, target: str
) -> None:
    visit.is_trouble_expected = True  # the first request into Arabic is refused
    visit.page.get_by_label("Translate into").select_option(target)
    visit.write("de: guten Abend, meine Damen und Herren")
    visit.expect_result("DE: GUTEN ABEND, MEINE DAMEN UND HERREN")
    expect(visit.page.get_by_label("Translate into")).to_have_value("en")
    expect(visit.page.locator("#problem")).to_be_hidden()


def test_a_short_text_in_the_target_language_is_not_taken_for_another(visit: Visit) -> None:
    """The server takes a short text for the likeliest of what goes into the target, and refuses nothing."""
    visit.write("de: guten Abend.")
    visit.expect_result("DE: GUTEN ABEND.")
    expect(visit.page.locator("#source-language option:checked")).to_have_text("German (auto)")
    expect(visit.page.get_by_label("Translate into")).to_have_value("en")
    assert [one["target"] for one in visit.sent] == ["en"]


def test_a_language_that_cannot_be_left_is_not_asked_for(visit: Visit) -> None:
    """Nothing translates Arabic, so there would be no other target."""
    visit.page.get_by_label("Translate into").select_option("ar")
    visit.write("Good evening.")
    visit.expect_result("GOOD EVENING.")
    assert not [one for one in visit.requests if one.url.endswith("/v1/detect")]


def test_new_typing_aborts_the_translation_and_frees_its_rows(visit: Visit, stage: Stage) -> None:
    open_gate = stage.hold()
    visit.write("First.")
    expect(visit.page.locator("#result")).to_have_js_property("textContent", "FIR")
    (first,) = stage.engine.requests
    visit.page.get_by_label("Text to translate").press_sequentially("x")
    assert eventually(visit.page, lambda: first.segment_id in stage.engine.cancelled)
    open_gate()
    visit.write("Second.")
    visit.expect_result("SECOND.")


def test_requests_wait_for_a_pause_but_not_after_ctrl_enter(special_visit: Visit) -> None:
    visit, page = special_visit, special_visit.page
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    for character in "abc":
        page.get_by_label("Text to translate").press_sequentially(character)
        page.clock.run_for(390)
    assert visit.sent == []
    page.clock.run_for(20)
    assert eventually(page, lambda: [one["text"] for one in visit.sent] == ["abc"])
    page.get_by_label("Text to translate").press_sequentially("d")
    page.keyboard.press("Control+Enter")
    page.clock.run_for(1)
    assert eventually(page, lambda: [one["text"] for one in visit.sent] == ["abc", "abcd"])
    page.clock.run_for(1000)
    visit.expect_result("ABCD")
    assert len(visit.sent) == 2


def test_the_quality_switch_chooses_the_strategy_and_is_remembered(visit: Visit) -> None:
    visit.write("Good evening.")
    visit.expect_result("GOOD EVENING.")
    visit.page.get_by_role("radio", name="Fast").check()
    assert eventually(visit.page, lambda: [one["strategy"] for one in visit.sent] == ["beam", "greedy"])
    visit.page.reload()
    expect(visit.page.get_by_role("radio", name="Fast")).to_be_checked()


@pytest.mark.parametrize("is_secure", [True, False], ids=["secure", "plain-http"])
def test_copy_puts_the_translation_on_the_clipboard(visit: Visit, is_secure: bool) -> None:
    page = visit.page
    if is_secure:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:  # as browsers do for addresses in a local network
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    expect(page.locator("#copy")).to_be_disabled()
    visit.write(TEXT)
    visit.expect_result(TEXT.upper())
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    expect(page.locator("#announcement")).to_have_text("Translation copied")
    visit.write("")
    page.get_by_label("Text to translate").press("Control+v")
    expect(page.get_by_label("Text to translate")).to_have_value(TEXT.upper())
    expect(page.get_by_role("button", name="Copy")).to_be_visible()


def test_clearing_can_be_undone(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Text to translate").press_sequentially("Good evening.")
    visit.expect_result("GOOD EVENING.")
    page.get_by_role("button", name="Clear text").click()
    visit.expect_result("")
    expect(page.locator("#status")).to_have_text("")
    expect(page.get_by_role("button", name="Clear text")).to_be_hidden()
    page.keyboard.press("Control+z")
    visit.expect_result("GOOD EVENING.")


def test_characters_are_counted_as_the_server_counts_and_too_many_are_not_sent(
    visit: Visit, stage: Stage
) -> None:
    visit.is_trouble_expected = True
    again = visit.page.get_by_role("button", name="Try again")
    visit.write("🙂" * LIMIT)
    expect(visit.page.locator("#count")).to_have_text("500 of 500 characters")
    visit.expect_result("🙂" * LIMIT)
    visit.write("🙂" * (LIMIT + 1))
    expect(visit.page.get_by_role("alert")).to_contain_text("The text is too long")
    expect(visit.page.get_by_label("Text to translate")).to_have_attribute("aria-invalid", "true")
    expect(again).to_be_hidden()
    assert len(visit.sent) == 1
    stage.engine.fail = StepFailed("planned by the test")
    visit.write("Good evening.")
    expect(again).to_be_visible()


def test_a_failure_in_the_stream_is_shown_and_can_be_tried_again(visit: Visit, stage: Stage) -> None:
    stage.engine.fail = StepFailed("planned by the test")
    visit.write("Good evening.")
    expect(visit.page.get_by_role("alert")).to_contain_text("Internal error")
    expect(visit.page.locator("#problem-more")).to_have_text(re.compile(r"^Request [0-9a-f]{32}$"))
    stage.engine.fail = None
    visit.page.get_by_role("button", name="Try again").click()
    visit.expect_result("GOOD EVENING.")
    expect(visit.page.locator("#problem")).to_be_hidden()


def test_a_busy_server_is_asked_again_when_it_says(visit: Visit, stage: Stage) -> None:
    visit.is_trouble_expected = True
    stage.engine.refuse = EngineOverloaded(retry_after_seconds=1)
    visit.write("Good evening.")
    expect(visit.page.get_by_role("alert")).to_contain_text("Too much work is waiting")
    expect(visit.page.locator("#problem-more")).to_have_text(re.compile(r"^Trying again in \d seconds?\."))
    stage.engine.refuse = None
    visit.expect_result("GOOD EVENING.")


def test_a_server_that_is_gone_is_found_again(visit: Visit) -> None:
    visit.is_trouble_expected = True
    visit.page.context.set_offline(True)
    visit.write("Good evening.")
    expect(visit.page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    visit.page.context.set_offline(False)
    visit.expect_result("GOOD EVENING.")


def test_a_page_opened_while_models_are_loaded_waits_for_them(browser: Browser) -> None:
    lifecycle = Lifecycle()
    with live_server(create_app(None, Settings(), lifecycle=lifecycle)) as server:
        page = browser.new_page()
        page.goto(server.url)
        expect(page.get_by_role("alert")).to_contain_text("Models are being loaded")
        page.get_by_label("Text to translate").fill("Good evening.")
        lifecycle.ready(fake_translator())
        expect(page.locator("#result")).to_have_text("Good evening.")
        # With one language there is nothing to detect.
        assert page.get_by_label("Translate from").locator("option").all_inner_texts() == ["English"]
        page.close()


def test_a_translation_that_was_cut_short_says_so(visit: Visit, stage: Stage) -> None:
    stage.engine.finish_reason = "length"
    visit.write("Good evening.")
    expect(visit.page.get_by_text("reached the length limit")).to_be_visible()
    stage.engine.finish_reason = "stop"
    visit.write("Good night.")
    visit.expect_result("GOOD NIGHT.")
    expect(visit.page.get_by_text("reached the length limit")).to_be_hidden()


def test_text_survives_a_reload_and_stays_out_of_address_and_lasting_storage(visit: Visit) -> None:
    visit.write("A secret.")
    visit.expect_result("A SECRET.")
    visit.page.get_by_label("Translate into").select_option("ar")
    assert "ecret" not in visit.page.url + str(visit.page.evaluate("Object.entries(localStorage)"))
    visit.page.reload()
    expect(visit.page.get_by_label("Text to translate")).to_have_value("A secret.")
    expect(visit.page.get_by_label("Translate into")).to_have_value("ar")
    visit.expect_result("A SECRET.")


def test_right_to_left_text_runs_from_the_right(visit: Visit, stage: Stage) -> None:
    stage.engine.translate = lambda text: "مرحبا بالعالم"
    visit.page.get_by_label("Translate into").select_option("ar")
    visit.write("Hello, world")
    visit.expect_result("مرحبا بالعالم")
    direction = "getComputedStyle(document.getElementById('{}')).direction"
    assert visit.page.evaluate(direction.format("result")) == "rtl"
    assert visit.page.evaluate(direction.format("source-text")) == "ltr"
    expect(visit.page.locator("#result")).to_have_attribute("lang", "ar")


@pytest.mark.parametrize("special_visit", [PHONE], indirect=True, ids=["phone"])
def test_a_phone_shows_everything_without_scrolling_sideways(special_visit: Visit) -> None:
    visit, page = special_visit, special_visit.page
    visit.write("Rindfleischetikettierungsüberwachungsaufgaben" * 5)
    visit.expect_result("RINDFLEISCHETIKETTIERUNGSÜBERWACHUNGSAUFGABEN" * 5)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    controls = page.locator("select, textarea, button:visible").all()
    boxes = [box for one in controls if (box := one.bounding_box())]
    assert [box for box in boxes if box["x"] < 0 or box["x"] + box["width"] > 360] == []
    assert [box for box in boxes if box["height"] < 44] == [], "too small for a finger"
    place = "document.querySelector('.{}').getBoundingClientRect().{}"
    assert page.evaluate(place.format("target", "top")) >= page.evaluate(place.format("source", "bottom"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(visit: Visit, stage: Stage, scheme: Literal["light", "dark"]) -> None:
    axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core here")
    page, axe = visit.page, axe_playwright.Axe()

    def barriers() -> dict[str, list[str]]:
        found = axe.run(page).response["violations"]
        return {one["id"]: [node["html"] for node in one["nodes"]] for one in found}

    page.emulate_media(color_scheme=scheme)
    assert barriers() == {}
    visit.write(TEXT)
    visit.expect_result(TEXT.upper())
    assert barriers() == {}
    stage.engine.fail = StepFailed("planned by the test")
    visit.write("Good evening.")
    expect(page.get_by_role("alert")).to_be_visible()
    assert barriers() == {}


def test_nothing_moves_for_those_who_do_not_want_it(visit: Visit, stage: Stage) -> None:
    page = visit.page
    open_gate = stage.hold()
    visit.write("Good evening.")
    expect(page.locator("#result")).to_have_js_property("textContent", "GOO")
    moving = "document.getAnimations().length"
    assert page.evaluate(moving) == 1
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0
    open_gate()


def test_everything_is_reached_by_keyboard_and_shows_that_it_is(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Translate from").select_option("en")
    visit.write("Good evening.")
    visit.expect_result("GOOD EVENING.")
    page.get_by_role("link", name="API").focus()
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert reached == ["source-language", "swap", "target-language", "source-text", "clear", "copy", "beam"]
    ring = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert page.evaluate(ring) == "solid"


def test_an_event_stream_reads_the_same_wherever_it_is_cut(visit: Visit) -> None:
    assert visit.page.evaluate(PARSE_CUT_ANYWHERE, list(EVENT_STREAM)) == [EVENTS]
