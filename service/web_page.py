"""The files of the web page, and what the page must know of the settings.

Knows the folder `web`; must not know what the page does. The page itself is served at `/` by operations.py.
"""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from service.context import Context

FOLDER = Path(__file__).resolve().parent / "web"
# Asked for again each time, and answered by 304 when nothing has changed: the page and its scripts must be of
# one version.
_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

router = APIRouter(prefix="/web", include_in_schema=False)
_files = StaticFiles(directory=FOLDER)


@router.get("/limits.json")
async def limits(context: Context) -> dict[str, int]:
    """What the page counts against; known also while models are being loaded."""
    return {"max_text_characters": context.settings.max_text_characters}


@router.get("/{name}")
async def file(name: str, request: Request) -> Response:
    """A route rather than a mount, so that log and metrics name it."""
    response = await _files.get_response(name, request.scope)
    response.headers.update(_HEADERS)
    return response


def add_web_page(app: FastAPI) -> None:
    """Serve the page's files under `/web`."""
    app.include_router(router)
