"""What is known of one request while it is answered: the middleware makes it, handlers fill it in.

Knows outcomes and labels; must not know who reads them: log, metrics, traces.
"""

from dataclasses import dataclass, field
from typing import cast

from starlette.types import Scope

from service.streaming import CLIENT_GONE
from service.visits import Visit

SCOPE_KEY = "verto.record"


@dataclass(slots=True)
class RequestRecord:
    """What is known of a request while it is answered; handlers fill in `pair`, and `code` where a stream's
    true outcome differs from the status that was sent. `visit` wants to know which models are used."""

    request_id: str
    pair: str | None = None
    model: str | None = None
    code: int | None = None
    status: int | None = None
    visit: Visit = field(init=False)

    @property
    def outcome(self) -> int:
        """The status to report; a request that was never answered is one whose client went away."""
        return self.code or self.status or CLIENT_GONE


def record_of(scope: Scope) -> RequestRecord:
    """The record of the request with this scope."""
    return cast(RequestRecord, scope[SCOPE_KEY])
