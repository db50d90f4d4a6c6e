"""Whether a request comes from somebody who may change what the server serves: a key in its head.

Knows the key and the `Authorization` header; must not know what it opens.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from service.context import context_of
from service.errors import Unauthorized
from service.request_record import record_of

logger = logging.getLogger(__name__)

_bearer = HTTPBearer(
    scheme_name="admin key", description="What VERTO_ADMIN_KEY says on the server.", auto_error=False
)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="verto admin"'}


async def require_admin_key(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Raises Unauthorized. Whoever changes models uses none of them, and is not waited for when one goes."""
    record_of(request.scope).visit.uses(())
    if given is None:
        raise Unauthorized("An admin key is needed: `Authorization: Bearer KEY`.", headers=_CHALLENGE)
    if not _is_same(given.credentials, context_of(request).settings.admin_key.get_secret_value()):
        logger.warning("a wrong admin key was refused")
        headers = {"WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
        raise Unauthorized("The admin key is wrong.", headers=headers)


def _is_same(given: str, key: str) -> bool:
    """In a time that says nothing of where they differ, nor of the key's length."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, key))
    return bool(key) and hmac.compare_digest(*digests)
