"""Log lines: JSON objects for machines, readable lines on a terminal, each with the id of its request.

Knows how a record is written; must not know what is logged. Texts and translations are never passed to a
logger; an exception is logged with its type and its frames, and its message, which may quote text, only at
level debug.
"""

import json
import logging
import sys
import threading
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger(__name__)

request_id_of_context: ContextVar[str | None] = ContextVar("request_id", default=None)
trace_id_of_context: ContextVar[str | None] = ContextVar("trace_id", default=None)  # where there are traces

_ENCODER = json.JSONEncoder(ensure_ascii=True, default=str)  # `json.dumps` would make one for each line
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(log_format: str, level: str) -> None:
    """Send all log lines to standard error in `log_format` (auto, json, text), from `level` on."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    show_messages = level == "debug"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(show_messages) if as_json else TextFormatter(show_messages))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its start, stop and access lines say what ours say; asyncio's debug lines are about itself.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    _log_what_nobody_caught()


def _log_what_nobody_caught() -> None:
    """Python would write it past the handler, in several lines, with messages that may quote text."""
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: _uncaught("uncaught exception", error)
    threading.excepthook = lambda thread: _uncaught("uncaught exception in a thread", thread.exc_value)
    sys.unraisablehook = lambda found: _uncaught("exception that could not be raised", found.exc_value)


def _uncaught(message: str, error: BaseException | None) -> None:
    if isinstance(error, SystemExit):  # a thread's way to end
        return
    logger.critical(message, exc_info=(type(error), error, error.__traceback__) if error else None)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, RFC 3339), level, logger, message, request_id, then extra fields."""

    def __init__(self, show_messages: bool = False) -> None:
        super().__init__()
        self._show_messages = show_messages

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record, self._show_messages),
            **extra_fields(record),
        }
        if record.exc_info:
            line["exception"] = describe_exception(record.exc_info[1], self._show_messages)
        return _ENCODER.encode(line)


class TextFormatter(logging.Formatter):
    """`12:30:05.123 INFO message key=value …`, for a terminal."""

    def __init__(self, show_messages: bool = False) -> None:
        super().__init__()
        self._show_messages = show_messages

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        extra = "".join(f" {name}={value}" for name, value in extra_fields(record).items())
        line = f"{clock} {record.levelname:<7} {_message(record, self._show_messages)}{extra}"
        if record.exc_info:
            line += "\n" + "\n".join(describe_exception(record.exc_info[1], self._show_messages)["frames"])
        return line


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller passed as `extra`, and the ids of the request in whose context the line was written."""
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
    ids = {"request_id": request_id_of_context.get(), "trace_id": trace_id_of_context.get()}
    return {**{name: value for name, value in ids.items() if value is not None}, **extra}


def _message(record: logging.LogRecord, show_all: bool) -> str:
    """Of asyncio only what happened: the lines below it show the objects concerned, with their exceptions."""
    message = record.getMessage()
    return message if show_all or record.name != "asyncio" else message.partition("\n")[0]


def describe_exception(error: BaseException | None, show_message: bool) -> dict[str, Any]:
    """Type and frames of an exception; its message only when asked for."""
    if error is None:
        return {"type": "unknown", "frames": []}
    frames = [line.rstrip() for line in traceback.format_tb(error.__traceback__)]
    kind = type(error).__qualname__
    return {"type": kind, "frames": [*frames, f"{kind}: {error}" if show_message else kind]}


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
