"""`verto evaluate` in tests: the command, and what it printed as JSON."""

import json
from typing import Any

from tests.cli.conftest import Ended, Verto


def evaluate(verto: Verto, *arguments: object) -> Ended:
    return verto("evaluate", "en-de", *arguments)


def report(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    return dict(json.loads(ended.text))
