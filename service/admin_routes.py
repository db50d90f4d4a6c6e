"""The admin API: models are listed, loaded, reloaded and unloaded while the server runs.

There only where a key is set: without one these addresses are as unknown as any other. Knows addresses,
schemas and statuses; must not know how a model comes and goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from service.admin_key import require_admin_key
from service.admin_schemas import (
    AdminModelAnswer,
    AdminModelNamedAnswer,
    AdminModelsAnswer,
    LoadRequest,
    MemoryAnswer,
    ReloadRequest,
    RoomAnswer,
    WaitingAnswer,
    WatchAnswer,
)
from service.body import read_json, read_json_if_any, validate
from service.context import Context, ServiceContext
from service.errors import FieldFault, InvalidRequest, ModelNotLoaded
from service.openapi import admin_responses, request_body
from service.parameters import check_parameters, no_parameters

if TYPE_CHECKING:  # importing it takes its time; the server listens before that
    from service.hosting.change import Change
    from service.hosting.hosting import Hosting
    from service.hosting.instances import Instance

router = APIRouter(prefix="/v1/admin", tags=["admin"], dependencies=[Depends(require_admin_key)])

_BEGUN: dict[int | str, dict[str, Any]] = {
    202: {"description": "Begun; the address in `Location` says how it goes on.", "model": AdminModelAnswer}
}
_WAIT = (
    "true: answer when the change is done, or with the reason why it failed; false: at once, with status 202."
)
Wait = Annotated[str, Query(description=_WAIT, json_schema_extra={"enum": ["true", "false"]})]


@router.get(
    "/models",
    summary="List models with their states",
    responses=admin_responses(),
    dependencies=[Depends(no_parameters)],
)
async def list_models(context: Context) -> AdminModelsAnswer:
    """Everything that serves, comes, goes, or has failed to come; what else could be loaded; memory."""
    hosting = _hosting(context)
    return AdminModelsAnswer(
        data=[_answer(one) for one in hosting.instances.all()],
        memory=RoomAnswer(
            limit_bytes=hosting.budget.limit_bytes or None,
            free_bytes=hosting.budget.free_bytes(hosting.instances.in_memory()),
        ),
        folders=await hosting.folder_names(),
        watch=_watch(hosting),
    )


@router.get(
    "/models/{name}",
    summary="A model's state",
    responses=admin_responses(404),
    dependencies=[Depends(no_parameters)],
)
async def show_model(name: str, context: Context) -> AdminModelNamedAnswer:
    """Two entries during a swap: the one that serves or drains, and the one that comes."""
    named = _hosting(context).instances.of(name)
    if not named:
        raise _unknown(_hosting(context), name)
    return AdminModelNamedAnswer(data=[_answer(one) for one in named])


@router.post(
    "/models",
    summary="Load a bundle, or swap it for the one that is served",
    response_model=AdminModelAnswer,
    responses={**admin_responses(409, 507), **_BEGUN},
    openapi_extra=request_body(LoadRequest),
)
async def load_model(request: Request, context: Context, wait: Wait = "false") -> Response:
    """It is warmed up before it gets requests. If it cannot be, what was served is served on."""
    is_waiting = _is_true(request, wait)
    hosting = context.lifecycle.require_hosting()
    asked = validate(LoadRequest, await read_json(request, context.intake))
    return await _answered(await hosting.load(asked.folder, asked.swap), is_waiting)


@router.post(
    "/models/{name}/reload",
    summary="Read a model's folder again",
    response_model=AdminModelAnswer,
    responses={**admin_responses(404, 409, 507), **_BEGUN},
    openapi_extra=request_body(ReloadRequest, required=False),
)
async def reload_model(name: str, request: Request, context: Context, wait: Wait = "false") -> Response:
    """For new content under the old name, or an engine that does not come up again."""
    is_waiting = _is_true(request, wait)
    hosting = context.lifecycle.require_hosting()
    asked = validate(ReloadRequest, await read_json_if_any(request, context.intake))
    return await _answered(await hosting.reload(name, asked.swap), is_waiting)


@router.delete(
    "/models/{name}",
    summary="Unload a model",
    response_model=None,
    responses={**admin_responses(404, 409), **_BEGUN, 204: {"description": "It is gone."}},
)
async def unload_model(name: str, request: Request, context: Context, wait: Wait = "false") -> Response:
    """New requests do not find it any more; what runs ends in its own time. Of a load that has failed the
    entry goes."""
    is_waiting = _is_true(request, wait)
    hosting = context.lifecycle.require_hosting()
    if hosting.forget(name):
        return Response(status_code=204)
    change = hosting.unload(name)
    if not is_waiting:
        return await _answered(change, False)
    await change.finished()
    return Response(status_code=204)


def _watch(hosting: Hosting) -> WatchAnswer | None:
    if (watch := hosting.watch) is None:
        return None
    waiting = [WaitingAnswer(folder=folder, reason=reason) for folder, reason in watch.waiting.items()]
    return WatchAnswer(seconds=watch.seconds, waiting=waiting)


def _hosting(context: ServiceContext) -> Hosting:
    """Also while the server drains: what there is can still be looked at."""
    return context.lifecycle.hosting or context.lifecycle.require_hosting()


async def _answered(change: Change, is_waiting: bool) -> Response:
    if is_waiting:
        await change.finished()
        return _json(_answer(change.instance), 200)
    location = f"/v1/admin/models/{quote(change.instance.name)}"
    return _json(_answer(change.instance), 202, {"Location": location})


def _is_true(request: Request, wait: str) -> bool:
    """The one parameter there is. Raises InvalidRequest for another, or for no truth value."""
    check_parameters(request, "wait")
    if wait not in ("true", "false"):
        raise InvalidRequest(
            "wait must be true or false.", faults=[FieldFault("wait", "true or false", wait)]
        )
    return wait == "true"


def _unknown(hosting: Hosting, name: str) -> ModelNotLoaded:
    names = ", ".join(sorted({one.name for one in hosting.instances.all()}))
    return ModelNotLoaded("There is no such model.", faults=[FieldFault("name", f"one of {names}", name)])


def _answer(instance: Instance) -> AdminModelAnswer:
    bundle, model, need = instance.bundle, instance.model, instance.need
    about_model: dict[str, Any] = {}
    if model is not None:
        about_model = {"dtype": model.dtype, "device": model.device, "path": model.path}
        about_model["load_seconds"] = round(model.load_seconds, 3)
    return AdminModelAnswer(
        name=bundle.name,
        version=bundle.version,
        folder=bundle.folder,
        state=instance.state,
        reason=instance.reason,
        since=int(instance.since),
        manifest_sha256=bundle.digest,
        memory=MemoryAnswer(
            needed_bytes=need.total,
            weights_bytes=need.weights,
            cache_bytes=need.cache,
            cache_bytes_used=instance.cache_bytes_used,
            process_bytes=need.process,
        ),
        **about_model,
    )


def _json(answer: BaseModel, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(), status, headers, media_type="application/json")
