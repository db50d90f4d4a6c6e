"""What `locust -f loadtests/locustfile.py --host URL [Translate] [Batch] [Stream] [Mixed]` runs.

Knows: locust's events and options. Must not know: how a user asks. Without names of users it is `Mixed`.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from locust import events

from loadtests.report import write_files
from loadtests.traffic.address import Address, probe, read_address
from loadtests.traffic.columns import encoded
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.kinds import MIXED, read_mix
from loadtests.traffic.requests import Traffic, english_or_given
from loadtests.users import USERS, Batch, Mixed, Session, Stream, Translate
from loadtests.workload import WorkloadError

__all__ = ["Batch", "Mixed", "Stream", "Translate"]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("Verto")
    group.add_argument("--mix", default=MIXED, help="what Mixed users ask: translate=7,batch=1,stream=2")
    group.add_argument("--seed", type=int, default=0, help="of lengths, texts and their order")
    group.add_argument("--sentences", type=Path, help="text or TSV to translate, plain or gzip; else made up")
    group.add_argument("--source", help="language of the sentences; by default English")
    group.add_argument("--target", help="language to translate into; by default the first there is")
    group.add_argument("--strategy", help="beam, greedy or sample; by default the server's own")
    group.add_argument("--think-seconds", type=float, default=0.0, help="mean pause of a user")
    group.add_argument("--request-timeout", type=float, default=30.0, help="seconds until a user gives up")
    group.add_argument("--header", action="append", default=[], help="'Name: value', for every request")
    group.add_argument("--samples", type=Path, help="write what became of every request to this JSON file")


@events.init.add_listener  # type: ignore[untyped-decorator]
def prepare(environment: Any, **_: Any) -> None:
    """The session that all users share; the end of the program where there cannot be one."""
    options = environment.parsed_options
    try:
        environment.verto = _session(options)
    except (LoadTestError, WorkloadError) as error:
        sys.stderr.write(f"locust: {error}\n")
        sys.exit(2)
    if not options.user_classes:
        environment.user_classes = [Mixed]


def _session(options: Any) -> Session:
    if not options.host:
        raise LoadTestError("which server? give --host http://localhost:8000")
    address: Address = read_address(options.host, options.header)
    direction = probe(address).direction(options.source, options.target)
    asked, mix = english_or_given(options.sentences, direction, options.seed), read_mix(options.mix)
    traffics = {
        users.__name__: Traffic(
            mix if users is Mixed else users.mix, asked, direction, options.strategy, options.seed
        )
        for users in USERS
    }
    session = Session(traffics, address.headers, options.request_timeout, options.think_seconds)
    session.samples = [] if options.samples else None
    return session


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Any, **_: Any) -> None:
    """Moments count from here on."""
    environment.verto.start()


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_samples(environment: Any, **_: Any) -> None:
    """For a program that reads them, as `verto loadtest run` does."""
    path: Path = environment.parsed_options.samples
    session: Session = environment.verto
    if session.samples is not None:
        content = {"began_at": session.began_at, "samples": encoded(session.samples)}
        write_files(path.parent, {path.name: json.dumps(content).encode()})
