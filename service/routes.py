"""The native API: thin endpoints from a request's body to the translator and back.

Knows addresses, schemas and statuses; must not know how anything is done.
"""

from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from service.answer_schemas import (
    DetectAnswer,
    DetectionAnswer,
    LanguageAnswer,
    LanguageProduct,
    LanguagesAnswer,
    LanguageShare,
    ModelAnswer,
    ModelsAnswer,
    TranslateAnswer,
)
from service.answers import stream_events, translate_answer
from service.body import read_json, validate
from service.context import Context, ServiceContext
from service.disconnect import unless_disconnected
from service.jobs import TranslationJob
from service.language_codes import english_name, own_name
from service.openapi import PROBLEMS, TRANSLATE_RESPONSES, request_body
from service.parameters import check_parameters, no_parameters
from service.registry import ServedModel
from service.request_record import RequestRecord, record_of
from service.schemas import OPTION_FIELDS, DetectRequest, TranslateRequest
from service.streaming import EventStreamResponse

router = APIRouter(prefix="/v1", dependencies=[Depends(no_parameters)])

MAX_ALTERNATIVES = 4


@router.post(
    "/translate",
    summary="Translate a text, or several",
    tags=["translation"],
    responses=TRANSLATE_RESPONSES,
    response_model=TranslateAnswer,
    openapi_extra=request_body(TranslateRequest),
)
async def translate(request: Request, context: Context) -> Response:
    """Each text is split into sentences; layout between them is kept to the character.

    With `stream`, the answer is a stream of server-sent events: `start`, then `delta` and `segment` in
    reading order, then `done` or `error`. The deltas of a text, joined, are exactly its translation; layout
    comes with the segment that it follows, and at the start of a text with the first. In a draft
    (`stream_mode`), `revise` says how many characters at the end of its segment's text are to be dropped.
    """
    check_parameters(request)  # the shortcut to this function solves no dependencies
    translator = context.lifecycle.require_translator()
    asked = validate(TranslateRequest, await read_json(request, context.intake))
    job = to_job(asked)
    empty = None if job.texts else translator.route_of_empty(job)
    running = await translator.start(job)
    record = record_of(request.scope)
    record.visit.uses(running.models)
    record.pair = _the_only({text.route.pair for text in running.texts})
    record.model = _the_only({text.route.model.name for text in running.texts})
    if asked.stream:
        return EventStreamResponse(
            stream_events(running, empty, asked.return_),
            running.cancel,
            context.settings.heartbeat_seconds,
            _recorder(record),
        )
    with running:
        result = await unless_disconnected(request.receive, running.result())
        return _json(translate_answer(running, result, empty, asked.return_))


@router.post(
    "/detect",
    summary="Find out the language of a text, or of several",
    tags=["languages"],
    responses=PROBLEMS,
    response_model=DetectAnswer,
    openapi_extra=request_body(DetectRequest),
)
async def detect(request: Request, context: Context) -> Response:
    """Languages with their share of certainty, the likeliest first. Short texts are often mistaken."""
    translator = context.lifecycle.require_translator()
    asked = validate(DetectRequest, await read_json(request, context.intake))
    texts = [asked.text] if isinstance(asked.text, str) else asked.text
    detections = []
    for shares in await translator.detect(texts):
        ranked = [LanguageShare(language=one.language, confidence=one.confidence) for one in shares]
        best = ranked[0] if ranked else None
        detections.append(
            DetectionAnswer(
                language=best.language if best else None,
                confidence=best.confidence if best else 0.0,
                alternatives=ranked[1 : MAX_ALTERNATIVES + 1],
            )
        )
    return _json(DetectAnswer(detections=detections))


@router.get("/models", summary="List the loaded models", tags=["models"], responses=PROBLEMS)
async def models(context: Context) -> ModelsAnswer:
    """In the shape of OpenAI's list, with fields of our own: directions, version, dtype, device, path."""
    return ModelsAnswer(
        data=[
            ModelAnswer(
                id=model.name,
                created=model.created,
                directions=_directions(model),
                version=model.version,
                dtype=model.dtype,
                device=model.device,
                path=model.path,
            )
            for model in _served(context).registry.models
        ]
    )


def _the_only(names: set[str]) -> str | None:
    """Of a request that has one of them; None when its texts have several, or there are none."""
    return next(iter(names)) if len(names) == 1 else None


def _directions(model: ServedModel) -> list[tuple[str, str]] | LanguageProduct:
    languages = model.languages
    if languages.is_product:
        return LanguageProduct(sources=list(languages.sources), targets=list(languages.targets))
    return list(languages)


@router.get("/languages", summary="List the languages", tags=["languages"], responses=PROBLEMS)
async def languages(context: Context) -> LanguagesAnswer:
    """Every language that can be translated from or into."""
    registry = _served(context).registry
    return LanguagesAnswer(
        languages=[
            LanguageAnswer(
                code=code,
                name=english_name(code),
                own_name=own_name(code),
                targets=registry.targets_of(code),
            )
            for code in registry.languages
        ]
    )


def to_job(asked: TranslateRequest) -> TranslationJob:
    """The checked request as the translator takes it: options that were not named are left to the model."""
    given = asked.model_fields_set
    named: dict[str, Any] = {name: getattr(asked, name) for name in OPTION_FIELDS if name in given}
    is_array = not isinstance(asked.text, str)
    return TranslationJob(
        texts=tuple(asked.text) if is_array else (str(asked.text),),
        is_array=is_array,
        source=asked.source,
        target=asked.target,
        model=asked.model,
        options={name: value for name, value in named.items() if value is not None},
        prefix=asked.prefix or "",
        banned=tuple(asked.banned or ()),
        required=tuple(asked.required or ()),
        alternatives=asked.alternatives or 0,
        split=asked.split,
        stream=asked.stream,
        draft=asked.stream_mode == "draft",
        want_alignment="alignment" in asked.return_,
        want_attention="attention" in asked.return_,
        want_tokens=not {"tokens", "scores"}.isdisjoint(asked.return_),
        priority=asked.priority,
        timeout_seconds=None if asked.timeout_ms is None else asked.timeout_ms / 1000,
    )


def _served(context: ServiceContext) -> Any:
    """The translator, also while draining: what was loaded can still be asked about."""
    return context.lifecycle.loaded or context.lifecycle.require_translator()


def _recorder(record: RequestRecord) -> Any:
    def note(status: int) -> None:
        record.code = status

    return note


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")
