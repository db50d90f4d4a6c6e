"""The admin API of a running server, as far as the command line asks it.

Knows addresses, the key's header and how problems are told; must not know options or what is printed. With
the standard library alone, which is all that a serving image has; directly, so that no proxy sees the key.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

MODELS = "/v1/admin/models"
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
ANSWER_SECONDS = 30.0
_OF_A_MODEL = {"name", "version", "folder", "state"}
CHANGE_SECONDS = 3600.0  # a large model on a slow disk takes its time


class AdminError(Exception):
    """The server refuses, or cannot be asked; the message says what to do."""


class ChangeFailed(Exception):
    """The server has tried, and it went wrong; what was served before is served on."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key is for the server that was named, and for no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class AdminClient:
    """Raises AdminError for an address that is none, and for a key that is missing."""

    def __init__(self, server: str, key: str) -> None:
        if not _is_address(server):
            raise AdminError(f"--server must be an address as http://127.0.0.1:8000, got {server!r}")
        if not key:
            raise AdminError("an admin key is needed: in VERTO_ADMIN_KEY, or in a file: --admin-key-file")
        self._server, self._key = server.rstrip("/"), key
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)

    def models(self) -> dict[str, Any]:
        """What the server says of its models, its memory and its folder. Raises AdminError."""
        return self._checked(self._ask("GET", ""), {"data", "memory", "folders", "watch"})

    def load(self, folder: str, swap: str, *, wait: bool) -> dict[str, Any]:
        """The model as it is then. Raises AdminError, ChangeFailed."""
        return self._checked(self._ask("POST", "", {"folder": folder, "swap": swap}, wait=wait), _OF_A_MODEL)

    def reload(self, name: str, swap: str, *, wait: bool) -> dict[str, Any]:
        """The model as it is then. Raises AdminError, ChangeFailed."""
        answer = self._ask("POST", f"{_of(name)}/reload", {"swap": swap}, wait=wait)
        return self._checked(answer, _OF_A_MODEL)

    def unload(self, name: str, *, wait: bool) -> dict[str, Any]:
        """The model while it drains; nothing once it is gone. Raises AdminError, ChangeFailed."""
        left = self._ask("DELETE", _of(name), wait=wait)
        return self._checked(left, _OF_A_MODEL) if left else {}

    def _ask(
        self, method: str, path: str, body: Mapping[str, str] | None = None, *, wait: bool = False
    ) -> Any:
        request = urllib.request.Request(
            f"{self._server}{MODELS}{path}{'?wait=true' if wait else ''}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=CHANGE_SECONDS if wait else ANSWER_SECONDS) as response:
                return json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read()) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise AdminError(f"{self._server} does not answer ({reason}); is --server right?") from None
        except ValueError:
            raise self._stranger() from None

    def _checked(self, answer: Any, wanted: set[str]) -> dict[str, Any]:
        """Other servers answer with JSON, too."""
        if not isinstance(answer, dict) or not wanted <= answer.keys():
            raise self._stranger()
        return answer

    def _stranger(self) -> AdminError:
        return AdminError(f"{self._server} does not answer as Verto does; is --server right?")

    def _refusal(self, status: int, body: bytes) -> Exception:
        try:
            problem = json.loads(body)
            detail, code, faults = str(problem["detail"]), str(problem["code"]), problem.get("errors", [])
        except (ValueError, KeyError, TypeError):
            return AdminError(f"{self._server} answers with status {status} and not as Verto does")
        if (status, code) == (404, "not_found"):
            return AdminError(f"{self._server} has no admin API; start it with VERTO_ADMIN_KEY set")
        told = "".join(f"; {one['field']}: {one['bound']}, got {one['value']!r}" for one in faults)
        failed = status >= 500 and status not in (503, 507)
        return (ChangeFailed if failed or code == "bundle_invalid" else AdminError)(detail.rstrip(".") + told)


def _is_address(server: str) -> bool:
    try:
        parts = urlsplit(server)
        port = parts.port  # looked at only when it is asked for
    except ValueError:
        return False
    known = parts.scheme in ("http", "https") and bool(parts.hostname)
    return known and port != 0 and not parts.query and not parts.fragment


def _of(name: str) -> str:
    """The address of a model. Raises AdminError for what cannot be a name."""
    if not NAME.fullmatch(name):
        raise AdminError(f"a model's name has letters, digits, '.', '_' and '-' only, got {name!r}")
    return f"/{name}"
