"""Locust users of the rehearsal: they ask for translations and streams, and write down what became of each.

    locust -f loadtests/rehearsal/users.py --headless --texts FILE --outcomes FILE -H URL

Knows: locust, the address. Must not know: who answers, and what happens to those. Runs in a
process of its own, since locust replaces Python's sockets.
"""

from __future__ import annotations

import itertools
import json
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from locust import FastHttpUser, between, events, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, ResponseContextManager
from locust.env import Environment

from loadtests.rehearsal.judging import JudgedStream, Verdict, judged_status, judged_translation
from loadtests.rehearsal.outcome import CUT, FAILED, HUNG, OK, REFUSED, STREAM, TRANSLATION, Outcome

PATH = "/v1/translate"
TIMEOUT_MS = 60_000  # of a request, as the server is told
HUNG_SECONDS = 90.0  # nobody answers any more
LONGEST_PAUSE = 2.0  # before a user who was refused comes again, whatever Retry-After says


class Script:
    """What all users share: numbered texts with their translations, and the file of outcomes."""

    texts: list[dict[str, str]]
    outcomes: TextIO
    numbers = itertools.count()

    @classmethod
    def next_text(cls) -> tuple[str, str]:
        """A text and its translation; the same again only after all others."""
        one = cls.texts[next(cls.numbers) % len(cls.texts)]
        return one["text"], one["translation"]

    @classmethod
    def note(cls, kind: str, began: float, verdict: Verdict) -> None:
        cls.outcomes.write(Outcome(kind, began, time.monotonic(), *verdict).line())
        cls.outcomes.flush()


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--texts", help="JSON: a list of objects with text and translation.")
    parser.add_argument("--outcomes", help="Where a line is written for every request.")


def _open_files(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    assert options is not None
    Script.texts = json.loads(Path(options.texts).read_text(encoding="utf-8"))
    Script.outcomes = open(options.outcomes, "a", encoding="utf-8")  # noqa: SIM115 (until the process ends)


class _RehearsalUser(FastHttpUser):
    abstract = True
    wait_time = between(0.1, 0.5)
    network_timeout = HUNG_SECONDS
    connection_timeout = 5.0

    def ask(self, kind: str) -> None:
        """One request, judged to its end."""
        text, expected = Script.next_text()
        body = {
            "text": text,
            "source": "en",
            "target": "de",
            "timeout_ms": TIMEOUT_MS,
            "stream": kind == STREAM,
        }
        began = time.monotonic()
        with self.client.post(PATH, json=body, name=kind, catch_response=True, stream=True) as answer:
            verdict = _judged(kind, answer, expected)
            # Locust's own statistics say the same as the file.
            answer.success() if verdict[0] == OK else answer.failure(f"{verdict[0]}: {verdict[1]}")
        Script.note(kind, began, verdict)
        if verdict[0] == REFUSED:
            time.sleep(min(float(answer.headers["Retry-After"]), LONGEST_PAUSE))


class TranslationUser(_RehearsalUser):
    weight = 2

    @task
    def translate(self) -> None:
        self.ask(TRANSLATION)


class StreamUser(_RehearsalUser):
    weight = 1

    @task
    def stream(self) -> None:
        self.ask(STREAM)


def _judged(kind: str, answer: ResponseContextManager, expected: str) -> Verdict:
    verdict = judged_status(answer.status_code, cast(Mapping[str, str], answer.headers or {}))
    if verdict is not None:
        return verdict
    try:
        return _stream(answer, expected) if kind == STREAM else _whole(answer, expected)
    except TimeoutError:
        return HUNG, f"nothing came for {HUNG_SECONDS:.0f} s"
    except (*FAILURE_EXCEPTIONS, ValueError) as error:
        return CUT if kind == STREAM else FAILED, repr(error)


def _whole(answer: ResponseContextManager, expected: str) -> Verdict:
    return judged_translation(json.loads(answer.stream.read()), expected)


def _stream(answer: ResponseContextManager, expected: str) -> Verdict:
    stream, latest = JudgedStream(expected), time.monotonic() + HUNG_SECONDS
    while not stream.is_over and (block := answer.stream.readline(b"\n\n")):
        stream.feed(block.decode())
        if time.monotonic() > latest:
            return HUNG, f"no end after {HUNG_SECONDS:.0f} s"
    answer.stream.read()  # to the very end, so that the connection can be used again
    return stream.verdict()


events.init_command_line_parser.add_listener(_add_options)  # type: ignore[no-untyped-call]
events.init.add_listener(_open_files)  # type: ignore[no-untyped-call]
