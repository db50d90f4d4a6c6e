"""The server's life over real sockets, in this process: loading, ready, draining, the end."""

import asyncio
import gc
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest

from service.app import create_app
from service.hosting.hosting import Hosting
from service.lifecycle import Lifecycle
from service.log import request_id_of_context
from service.serving import COLLECT_AFTER, DrainingServer, ServeError, address_of, bind, web_config
from service.settings import Settings
from tests.fakes import FakeEngine, served_model
from tests.service.hosting.pretended import fake_hosting
from tests.service.http_client import read_events, streamed_texts

PATIENCE = 60.0
# For a machine that has much else to do.
get = partial(httpx.get, timeout=PATIENCE)
post = partial(httpx.post, timeout=PATIENCE)


@dataclass
class Running:
    """A server in a thread. `loaded` lets its models arrive; `gate` lets its engine go on."""

    server: DrainingServer
    url: str
    engine: FakeEngine
    loaded: threading.Event = field(default_factory=threading.Event)

    def wait_for_status(self, path: str, status: int) -> None:
        self.wait_until(lambda: get(self.url + path).status_code == status)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def signal(self, which: int = signal.SIGINT) -> None:
        self.server.handle_exit(which, None)

    def hold(self) -> Callable[[], None]:
        """Segments stand still after their first tokens until what this returns is called."""
        gate = asyncio.Event()
        self.engine.gate = gate
        loop = self.server._loop
        assert loop is not None
        return lambda: loop.call_soon_threadsafe(gate.set) and None


@contextmanager
def running(
    drain_timeout_seconds: float = PATIENCE,
    failure: Exception | None = None,
    drain_delay_seconds: float = 0.0,
) -> Iterator[Running]:
    """A server that ends with the block at the latest."""
    engine = FakeEngine(str.upper)
    lifecycle = Lifecycle()
    settings = Settings(drain_timeout_seconds=drain_timeout_seconds, drain_delay_seconds=drain_delay_seconds)
    app = create_app(None, settings, lifecycle=lifecycle)
    listener = bind("127.0.0.1", 0)

    def load() -> Hosting:
        assert stage.loaded.wait(PATIENCE)
        if failure is not None:
            raise failure
        return fake_hosting(lifecycle, served_model(engine))

    server = DrainingServer(web_config(app, settings.read_timeout_seconds), settings, lifecycle, load)
    stage = Running(server, address_of(listener), engine)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        stage.wait_until(lambda: server.started)
        yield stage
    finally:
        stage.loaded.set()
        if thread.is_alive() and not server.should_exit:
            server.handle_exit(signal.SIGINT, None)
            server.handle_exit(signal.SIGINT, None)
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_it_answers_at_once_and_works_once_models_are_loaded() -> None:
    with running() as stage:
        assert get(stage.url + "/health/live").status_code == 200
        assert get(stage.url + "/health/ready").status_code == 503
        assert post(stage.url + "/v1/translate", json={"text": "a"}).status_code == 503
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        answer = post(stage.url + "/v1/translate", json={"text": "Hello."})
        assert answer.json()["translations"][0]["text"] == "HELLO."


def test_garbage_is_looked_for_less_often_than_at_each_request() -> None:
    with running() as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        assert gc.get_threshold()[0] == COLLECT_AFTER


def test_a_drain_finishes_streams_and_answers_and_refuses_new_work_meanwhile() -> None:
    with running() as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        release = stage.hold()
        url = stage.url + "/v1/translate"
        answers: list[httpx.Response] = []
        body = {"text": "One. Two.", "source": "en"}
        waiting = threading.Thread(
            target=lambda: answers.append(post(stage.url + "/v1/translate", json=body))
        )
        waiting.start()
        with httpx.stream("POST", url, json={**body, "stream": True}, timeout=PATIENCE) as response:
            stage.wait_until(lambda: len(stage.engine.requests) == 4)
            stage.signal()
            stage.wait_for_status("/health/ready", 503)
            refused = post(stage.url + "/v1/translate", json=body)
            assert (refused.status_code, refused.json()["code"]) == (503, "draining")
            assert refused.headers["retry-after"]
            release()
            events = read_events(response.read().decode())
        waiting.join(PATIENCE)
        stage.wait_until(lambda: stage.engine.is_closed)
    assert streamed_texts(events, 1) == ["ONE. TWO."]
    assert events[-1].name == "done"
    assert answers[0].json()["translations"][0]["text"] == "ONE. TWO."
    assert stage.server.failure is None
    assert not stage.server.force_exit


def test_a_drain_with_nothing_to_do_ends_at_once() -> None:
    with running() as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        stage.signal()
        stage.wait_until(lambda: stage.engine.is_closed)
    assert not stage.server.force_exit


def test_a_signal_in_the_midst_of_a_request_is_not_logged_under_its_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged_under: list[str | None] = []

    def note(record: logging.LogRecord) -> bool:
        if record.getMessage().startswith("draining"):
            logged_under.append(request_id_of_context.get())
        return True

    caplog.handler.addFilter(note)
    with caplog.at_level("INFO"), running() as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        token = request_id_of_context.set("somebody-else's")
        stage.signal()
        request_id_of_context.reset(token)
        stage.wait_until(lambda: bool(logged_under))
    assert logged_under == [None]


def test_after_sigterm_it_answers_on_for_the_delay_without_being_ready_and_keeps_no_connection() -> None:
    with running(drain_delay_seconds=PATIENCE) as stage, httpx.Client(timeout=PATIENCE) as client:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        url, body = stage.url + "/v1/translate", {"text": "Hello."}
        assert "connection" not in client.post(url, json=body).headers
        stage.signal(signal.SIGTERM)
        stage.wait_for_status("/health/ready", 503)
        for _ in range(2):  # over a connection from before, and over a new one
            answer = client.post(url, json=body)
            assert answer.json()["translations"][0]["text"] == "HELLO."
            assert answer.headers["connection"] == "close"
        streamed = client.post(url, json={**body, "stream": True})
        assert read_events(streamed.text)[-1].name == "done"
        assert streamed.headers["connection"] == "close"
        stage.signal(signal.SIGTERM)  # a second one ends the wait
        stage.wait_until(lambda: stage.server.should_exit)


def test_once_the_delay_is_over_it_drains_and_ends() -> None:
    with running(drain_delay_seconds=0.2) as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        stage.signal(signal.SIGTERM)
        stage.wait_until(lambda: stage.engine.is_closed)
    assert not stage.server.force_exit


def test_whoever_presses_ctrl_c_does_not_wait_for_balancers() -> None:
    with running(drain_delay_seconds=PATIENCE * 10) as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        stage.signal(signal.SIGINT)
        stage.wait_until(lambda: stage.engine.is_closed)
    assert not stage.server.force_exit


@pytest.mark.parametrize("how", ["second signal", "drain timeout"])
def test_a_second_signal_or_the_drain_timeout_gives_up_what_still_runs(how: str) -> None:
    with running(PATIENCE if how == "second signal" else 0.1) as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        stage.hold()
        url, body = stage.url + "/v1/translate", {"text": "One. Two.", "stream": True}
        with httpx.stream("POST", url, json=body, timeout=PATIENCE) as response:
            stage.wait_until(lambda: len(stage.engine.requests) == 2)
            stage.signal()
            if how == "second signal":
                stage.wait_for_status("/health/ready", 503)
                stage.signal()
            with pytest.raises(httpx.RemoteProtocolError):
                response.read()
        stage.wait_until(lambda: stage.engine.is_closed)
    assert stage.server.force_exit


def test_a_signal_while_loading_ends_the_server_without_waiting_for_the_models() -> None:
    with running() as stage:
        stage.signal()
        stage.wait_until(lambda: stage.server.should_exit)
        assert not stage.loaded.is_set()


def test_a_load_that_fails_ends_the_server_and_keeps_the_reason() -> None:
    reason = ValueError("broken bundle")
    with running(failure=reason) as stage:
        stage.loaded.set()
        stage.wait_until(lambda: stage.server.failure is reason)
        stage.wait_until(lambda: stage.server.should_exit)


def test_a_client_that_goes_stops_the_work_over_a_real_socket() -> None:
    with running() as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        stage.hold()
        for stream in (True, False):
            body = {"text": "One. Two.", "stream": stream}
            with pytest.raises(httpx.ReadTimeout):
                post(stage.url + "/v1/translate", json=body, timeout=1.0)
        stage.wait_until(lambda: len(stage.engine.cancelled) == 4)


def test_a_body_far_beyond_the_limit_is_answered_and_the_server_goes_on() -> None:
    with running() as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        chunks = (b"x" * 1_000_000 for _ in range(20))
        headers = {"Content-Type": "application/json"}
        with httpx.Client(timeout=PATIENCE) as client:
            response = client.post(stage.url + "/v1/translate", content=chunks, headers=headers)
            assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
            assert client.post(stage.url + "/v1/translate", json={"text": "a"}).status_code == 200


def test_a_port_in_use_is_said_with_the_way_out() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"port {port} is in use on 127.0.0.1; .* --port"):
            bind("127.0.0.1", port)


def test_an_unknown_host_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ServeError, match=r"cannot listen on nowhere\.invalid, port 1: Name"):
        bind("nowhere.invalid", 1)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "\udcff"])
def test_what_cannot_be_the_name_of_a_host_is_said_too(host: str) -> None:
    with pytest.raises(ServeError, match=r"^cannot listen on '.*', port 1: no name of a host; choose"):
        bind(host, 1)


def test_the_address_of_a_socket_is_a_url() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_it_runs_on_uvloop_where_that_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop", reason="there is no uvloop for this platform")
    with running() as stage:
        assert isinstance(stage.server._loop, uvloop.Loop)
