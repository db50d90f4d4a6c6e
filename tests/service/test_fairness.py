"""A request of very many segments keeps the event loop from nobody else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from service import translation
from service.assembly import assemble_text
from service.jobs import TranslationJob
from service.translation import SEGMENTS_AT_A_TIME
from service.translator import INLINE_CHARACTERS
from tests.fakes import FakeDetector, FakeEngine, fake_translator, served_model


def job(text: str) -> TranslationJob:
    return TranslationJob(texts=(text,), source="en", target="de", options={})


class Watched:
    """Answers a text, and notes of each assembly its thread, and how many turns others had had until then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns, self.seen = 0, list[tuple[threading.Thread, int]]()
        monkeypatch.setattr(translation, "assemble_text", self._noted)

    def _noted(self, *given: Any) -> Any:
        self.seen.append((threading.current_thread(), self.turns))
        return assemble_text(*given)

    async def _other(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    async def answer(self, text: str) -> None:
        engine = FakeEngine(turns=lambda: 0)  # all is there before it is asked for
        translator = fake_translator(served_model(engine), max_text_characters=100_000)
        with await translator.start(job(text)) as running:
            other = asyncio.ensure_future(self._other())
            result = await running.result()
            other.cancel()
        assert result.texts[0].candidates[0].text == text


def test_others_get_their_turn_while_thousands_of_segments_are_taken_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    asyncio.run(watched.answer("Hi.\n" * 50 * SEGMENTS_AT_A_TIME))
    ((_, turns),) = watched.seen
    assert turns >= 50


@pytest.mark.parametrize(("count", "is_aside"), [(3, False), (2 * SEGMENTS_AT_A_TIME, True)])
def test_only_long_answers_are_put_together_in_another_thread(
    monkeypatch: pytest.MonkeyPatch, count: int, is_aside: bool
) -> None:
    watched = Watched(monkeypatch)
    asyncio.run(watched.answer("Hi.\n" * count))
    ((thread, _),) = watched.seen
    assert (thread is not threading.main_thread()) == is_aside


@pytest.mark.parametrize(("length", "is_aside"), [(10, False), (INLINE_CHARACTERS + 1, True)])
def test_only_much_text_is_identified_in_another_thread(
    monkeypatch: pytest.MonkeyPatch, length: int, is_aside: bool
) -> None:
    threads = list[threading.Thread]()
    detect = FakeDetector.detect

    def noted(self: FakeDetector, text: str) -> Any:
        threads.append(threading.current_thread())
        return detect(self, text)

    monkeypatch.setattr(FakeDetector, "detect", noted)
    asyncio.run(fake_translator().detect(["a" * length]))
    assert [thread is not threading.main_thread() for thread in threads] == [is_aside]
