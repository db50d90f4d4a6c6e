"""Addresses for those who run the server: health, metrics, documentation and the web page.

Knows where the server is in its life; must not know translation.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse, Response

from service.answer_schemas import HealthAnswer
from service.context import Context
from service.errors import DRAINING_RETRY_SECONDS, LOADING_RETRY_SECONDS, Draining, EngineDown, Loading
from service.openapi import PROBLEMS

router = APIRouter()

PAGE = Path(__file__).resolve().parent / "web" / "index.html"
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: PROBLEMS[503]}
# The page is one file that needs nothing else; so no address but this server's is ever to be asked.
_PAGE_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_DOCS_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}


@router.get("/health/startup", tags=["health"], summary="Are models in memory?", responses=_UNAVAILABLE)
async def startup(context: Context) -> HealthAnswer:
    """503 until models are loaded, then 200 for good."""
    if not context.lifecycle.has_started:
        detail = "The server is still loading its models."
        raise Loading(detail, retry_after_seconds=LOADING_RETRY_SECONDS)
    return HealthAnswer()


@router.get("/health/live", tags=["health"], summary="Does the process answer?")
async def live() -> HealthAnswer:
    """200 as long as the server answers at all."""
    return HealthAnswer()


@router.get("/health/ready", tags=["health"], summary="Is new work taken?", responses=_UNAVAILABLE)
async def ready(context: Context) -> HealthAnswer:
    """503 while loading, while shutting down, and while an engine cannot be started again."""
    if context.lifecycle.is_going:
        raise Draining("The server is shutting down.", retry_after_seconds=DRAINING_RETRY_SECONDS)
    context.lifecycle.require_translator()
    if not context.lifecycle.is_ready:
        detail = "An engine cannot be started at present."
        raise EngineDown(detail, retry_after_seconds=LOADING_RETRY_SECONDS)
    return HealthAnswer()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, context: Context) -> Response:
    body, content_type = context.metrics.exposition(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(PAGE, media_type="text/html", headers=_PAGE_HEADERS)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "").rstrip("/")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Verto: API",
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/favicon-32x32.png",
    )


def _docs_file(name: str, media_type: str) -> None:
    """Serve a file of Swagger UI from the package that carries it: the page needs no other server."""
    content = files("fastapi_swagger.resources").joinpath(name)

    async def serve() -> Response:
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(content.read_bytes(), media_type=media_type, headers=headers)

    router.add_api_route(f"/docs/{name}", serve, include_in_schema=False)


for _name, _media_type in _DOCS_FILES.items():
    _docs_file(_name, _media_type)
