"""HEAD is answered as GET is, without the body (RFC 9110, section 9.1), at every address that takes GET.

Knows ASGI; must not know the addresses.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """The layers within see a GET, those around it and the web server what was asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        # A copy: the web server looks into the original for whether a body may be sent, and sends none.
        within = {**scope, "method": "GET"}
        try:
            await self._app(within, receive, send)
        finally:
            if "route" in within:  # for whoever counts
                scope["route"] = within["route"]
