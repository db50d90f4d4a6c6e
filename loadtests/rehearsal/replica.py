"""One server behind the balancer: a process that is started, told to end, killed, paused.

Knows: `verto serve` as a process, a request to it, signals, /proc. Must not know: balancers, load.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.request import Request, urlopen

from loadtests.machine import ROOT
from loadtests.rehearsal.waiting import wait_until
from loadtests.server_start import children
from loadtests.servers import ServerFault, is_ready

START_SECONDS, END_SECONDS, ANSWER_SECONDS = 120.0, 90.0, 120.0


def translated(port: int, texts: Sequence[str]) -> list[str]:
    """What the server at this port makes of the texts. Raises OSError where there is no answer."""
    body = json.dumps({"text": list(texts), "source": "en", "target": "de"}).encode()
    request = Request(f"http://127.0.0.1:{port}/v1/translate", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return [one["text"] for one in json.load(answer)["translations"]]


class Replica:
    """A place at a port; the process in it changes."""

    def __init__(self, name: str, port: int, options: Sequence[str], folder: Path) -> None:
        self.name, self.port = name, port
        self._command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port), *options]
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        assert self._process is not None, "it has been started"
        return self._process.pid

    def start(self) -> None:
        """Returns at once."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)

    def wait_until_ready(self) -> float:
        """Seconds waited. Raises ServerFault with the end of its log when it has ended instead."""

        def ready() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise ServerFault(f"{self.name} ended: {self._log.read_text(errors='replace')[-2000:]}")
            return is_ready(self.port)

        return wait_until(ready, START_SECONDS, f"{self.name} is ready")

    def terminate(self) -> None:
        os.kill(self.process_id, signal.SIGTERM)

    def kill(self) -> None:
        """Without warning; its engine goes with it."""
        os.kill(self.process_id, signal.SIGKILL)
        self.wait_for_end()

    def wait_for_end(self) -> int:
        """The exit code."""
        assert self._process is not None
        return self._process.wait(END_SECONDS)

    def engines(self) -> list[int]:
        """Ids of the processes of its engines, as many as there are at the moment."""
        return children(self.process_id)

    def translate(self, text: str) -> str:
        """Past the balancer. Raises OSError where there is no answer."""
        return translated(self.port, [text])[0]

    def pause(self) -> None:
        """Server and engines stand still, with their connections open."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal_all(signal.SIGCONT)

    def clear(self) -> None:
        """Nothing is left of it, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _signal_all(self, which: signal.Signals) -> None:
        for process_id in (self.process_id, *self.engines()):
            os.kill(process_id, which)
