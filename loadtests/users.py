"""Users for locust: each asks, waits for the whole answer, and asks again. A closed loop.

Knows: locust's client and its traps, the traffic's requests, what answers are worth. Must not know: options,
files, reports.

Locust books a stream when its headers have come, takes one that is cut off for an error of the test's own
code, and an answer of 200 for a good one. So every answer is read to its end and judged here, then booked.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gevent import Timeout  # type: ignore[import-untyped]
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS

from loadtests.traffic.answers import CUT, OK, StreamReading, judged
from loadtests.traffic.kinds import BATCH, MIXED_SHARES, STREAM, TRANSLATE, Mix
from loadtests.traffic.requests import PATH, Asked, Traffic
from loadtests.traffic.samples import DONE, FAILED, REFUSED, Sample, Verdict
from loadtests.traffic.sender import NO_CONNECTION, TIMED_OUT

# Nobody asks again at once: such a user would ask a server that is down thousands of times a second.
FAILED_SECONDS, REFUSED_SECONDS, MOST_REFUSED_SECONDS = 0.1, 0.5, 10.0
FIRST_TOKEN, BETWEEN_TOKENS, DURATION = "stream: first token", "stream: between tokens", "stream: duration"


@dataclass
class Session:
    """What all users of a test share. They take turns in the numbers, so no two ask the same.

    `traffics` by the name of the class of users; `samples` None: nobody reads them, so they are not kept.
    """

    traffics: Mapping[str, Traffic]
    headers: Mapping[str, str]
    timeout_seconds: float
    think_seconds: float = 0.0
    began: float = 0.0  # of `time.perf_counter`
    began_at: float = 0.0  # of `time.time`
    samples: list[Sample] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self) -> None:
        """From now on moments count; samples from before are forgotten."""
        self.began, self.began_at = time.perf_counter(), time.time()
        if self.samples is not None:
            self.samples.clear()

    def next_request(self, users: str) -> Asked:
        return self.traffics[users].request(next(self._numbers))


class VertoUser(FastHttpUser):
    """What the kinds have in common. `environment.verto` holds the test's `Session`."""

    abstract = True
    insecure = False
    mix: ClassVar[Mix]
    pause_seconds = 0.0  # before the next request, where the last one was not answered

    def __init__(self, environment: Any) -> None:
        self.session: Session = environment.verto
        self.network_timeout = self.connection_timeout = self.session.timeout_seconds
        super().__init__(environment)

    def wait_time(self) -> float:
        """Seconds to think, drawn anew each time; who was refused waits as long as the server has asked."""
        mean = self.session.think_seconds
        return self.pause_seconds or (random.expovariate(1.0 / mean) if mean else 0.0)

    @task
    def ask(self) -> None:
        sample = self._sample(self.session.next_request(type(self).__name__))
        if self.session.samples is not None:
            self.session.samples.append(sample)
        if sample.kind == STREAM and sample.outcome == DONE:
            self._tell_stream(sample)

    def _sample(self, asked: Asked) -> Sample:
        """Sent, read to its end, judged and booked."""
        reading, sent = StreamReading(), time.perf_counter()
        headers = {"Content-Type": "application/json", **self.session.headers}
        # Of the whole: the client's own bound is on each wait, and bytes that trickle in begin it anew.
        with (
            closing(Timeout.start_new(self.session.timeout_seconds, TimeoutError)) as limit,
            self.client.post(
                PATH, name=asked.kind, data=asked.body.decode(), headers=headers, stream=True,
                catch_response=True,
            ) as response,
        ):  # fmt: skip
            verdict = _verdict(response, asked, reading, sent + self.session.timeout_seconds)
            limit.close()
            ended = time.perf_counter()
            _book(response, verdict, ended - sent)
        self.pause_seconds = _pause(verdict, response.headers)
        began = self.session.began
        arrivals = tuple(moment - began for moment in reading.arrivals)
        moments = (sent - began, sent - began, ended - began)
        return Sample(asked.kind, *moments, response.status_code, verdict, asked.characters, arrivals)

    def _tell_stream(self, sample: Sample) -> None:
        """What locust has no name for, as rows of its own."""
        self._tell(FIRST_TOKEN, sample.first_text)
        for gap in sample.gaps:
            self._tell(BETWEEN_TOKENS, gap)
        self._tell(DURATION, sample.latency)

    def _tell(self, name: str, seconds: float | None) -> None:
        if seconds is not None:
            self.environment.events.request.fire(
                request_type="SSE", name=name, response_time=1000 * seconds, response_length=0,
                exception=None, context={},
            )  # fmt: skip


def _verdict(response: Any, asked: Asked, reading: StreamReading, deadline: float) -> Verdict:
    if not response.status_code:
        cause = getattr(response.error, "original", None)  # of the client's own error
        return Verdict(FAILED, TIMED_OUT if isinstance(cause, TimeoutError) else NO_CONNECTION)
    try:
        if asked.kind != STREAM or response.status_code != OK:
            return judged(response.status_code, response.stream.read(), asked)
        return _read_stream(response.stream, reading, deadline)
    except TimeoutError:
        return Verdict(FAILED, TIMED_OUT)
    except FAILURE_EXCEPTIONS:
        return reading.verdict if reading.is_over else Verdict(FAILED, CUT)


def _read_stream(stream: Any, reading: StreamReading, deadline: float) -> Verdict:
    """Event by event; a comment that keeps the connection alive does not keep the request alive."""
    while event := stream.readline(b"\n\n"):
        reading.feed(event, time.perf_counter())
        if time.perf_counter() > deadline:
            return Verdict(FAILED, TIMED_OUT)
    return reading.verdict


def _book(response: Any, verdict: Verdict, seconds: float) -> None:
    """In locust's statistics: with the time to the end; a refusal in a row of its own, not as a failure."""
    response.request_meta["response_time"] = 1000 * seconds
    if verdict.outcome == REFUSED:
        response.request_meta["name"] += f": refused ({verdict.fault})"
    if verdict.outcome == FAILED:
        response.failure(verdict.fault)
    else:
        response.success()


def _pause(verdict: Verdict, headers: Any) -> float:
    """Seconds until the next request; where the server names none, or a date, what anybody would wait."""
    if verdict.outcome != REFUSED:
        return FAILED_SECONDS if verdict.outcome == FAILED else 0.0
    named = (headers or {}).get("retry-after", "")
    return min(float(named), MOST_REFUSED_SECONDS) if named.isdecimal() else REFUSED_SECONDS


class Translate(VertoUser):
    """A sentence or three at a time."""

    mix = Mix({TRANSLATE: 1.0})


class Batch(VertoUser):
    """Several texts in one request."""

    mix = Mix({BATCH: 1.0})


class Stream(VertoUser):
    """Text as it is translated."""

    mix = Mix({STREAM: 1.0})


class Mixed(VertoUser):
    """All of them, each as often as in everyday use."""

    mix = Mix(MIXED_SHARES)


USERS: tuple[type[VertoUser], ...] = (Translate, Batch, Stream, Mixed)
