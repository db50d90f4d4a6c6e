"""Every setting of the server, with its meaning, unit, bounds and default.

The only place that reads the environment. Order: command line, then `VERTO_*` variables, then defaults.
Knows no HTTP and no model; is built once at the entry point, never changed, and handed down.
"""

import difflib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.engine.network_plan import Kernels, Precision
from service.processors import usable_processors

PREFIX = "VERTO_"
MIN_KEY_CHARACTERS, MAX_KEY_CHARACTERS = 16, 256
_VISIBLE = re.compile(r"[!-~]+")
DEFAULT_PORT = 8000
MAX_THREADS_A_PROCESSOR = 4

# Kubernetes adds such variables for a service called "verto"; they are not ours.
_SERVICE_LINK = re.compile(r"VERTO_(SERVICE_(HOST|PORT).*|PORT_\d+_.*)")

EngineBacking = Literal["process", "thread"]
WatchSwap = Literal["beside", "unload_first"]
LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]


class SettingsError(ValueError):
    """A setting is unknown, of the wrong type or out of bounds; names it, its source and its bound."""


def default_models_dir() -> Path:
    """`checkpoints` beside the packages (a clone), else in the current folder (an installed wheel)."""
    beside = Path(__file__).resolve().parent.parent / "checkpoints"
    return beside if beside.is_dir() else Path("checkpoints")


def default_cache_dir() -> Path:
    """`verto` in the user's folder of caches (XDG Base Directory), else in that of temporary files."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / "verto"
    try:
        return Path.home() / ".cache" / "verto"
    except RuntimeError:  # a user without a home folder, as containers may have
        return Path(tempfile.gettempdir()) / f"verto-{os.getuid()}"


class Settings(BaseSettings):
    """The settings of one server. Raises ValidationError; `resolve_settings` makes that readable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 serves other machines too.")
    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="TCP port; 0 takes any free one.")
    models_dir: Path = Field(
        default_factory=default_models_dir, description="Folder whose subfolders are the bundles to serve."
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.",
    )
    precision: Precision = Field(
        "float32",
        description="float32, bfloat16, int8 (CPU) or float16 (GPU): numbers of the matrix products.",
    )
    kernels: Kernels = Field(
        "auto",
        description="auto: native kernels as soon as they are built; native: not without; eager: never.",
    )
    cache_dir: Path = Field(
        default_factory=default_cache_dir, description="Folder that built kernels are kept in."
    )
    cxx: str = Field(
        "", description="C++ compiler that builds the kernels; empty: c++, g++ or clang++, which is there."
    )
    engine: EngineBacking = Field(
        "process",
        description="process: each model in one of its own, started again if it dies; thread: all in one.",
    )
    engine_stuck_seconds: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="Seconds of silence after which an engine's process with work is killed and replaced.",
    )
    num_threads: int = Field(
        default_factory=usable_processors,
        ge=1,
        description="Threads for the network on a CPU, at most 4 for each processor that may be used.",
    )
    max_rows: int = Field(
        96, ge=32, le=65536, description="Rows decoded in one step; a beam of 4 takes 4 rows."
    )
    max_queue_tokens: int = Field(
        200_000, ge=1, description="Source tokens that may wait; more are refused with status 429."
    )
    cache_bytes_limit: int = Field(
        2_000_000_000, ge=1_000_000, description="Bytes for attention keys and values of running segments."
    )
    admin_key: SecretStr = Field(
        SecretStr(""),
        description="Key of the admin API, which loads and unloads models; empty: there is no such API.",
    )
    watch_seconds: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="Seconds between looks at models_dir, to serve bundles as they come and change; 0: none.",
    )
    watch_swap: WatchSwap = Field(
        "beside",
        description="beside: the old model serves until a changed one does; unload_first: for less memory.",
    )
    models_bytes_limit: int = Field(
        0,
        ge=0,
        description="Bytes for all models together, checked before one is loaded; 0: what the machine has.",
    )
    copying: bool = Field(
        True,
        description="Addresses, code, numbers, emoji are copied, not translated, by models that learned to.",
    )
    coalesce: bool = Field(True, description="Identical segments in flight share one computation.")
    max_body_bytes: int = Field(
        2_097_152, ge=1024, description="Bytes of a request body; more is status 413."
    )
    read_timeout_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds for a request's head, and of silence within its body (more is status 408) or in "
        "the reading of its answer.",
    )
    max_text_characters: int = Field(
        100_000, ge=1, description="Characters of all texts of one request together; more is status 413."
    )
    max_texts: int = Field(1_000, ge=1, description="Texts in one request; more is status 413.")
    default_timeout_seconds: float = Field(
        60.0, gt=0, le=86_400, description="Seconds for a request that sets no timeout_ms; then status 504."
    )
    max_timeout_seconds: float = Field(
        600.0, gt=0, le=86_400, description="Seconds: the largest timeout_ms a request may set."
    )
    drain_delay_seconds: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="Seconds after SIGTERM in which requests are still taken while /health/ready is 503.",
    )
    drain_timeout_seconds: float = Field(
        60.0, ge=0, le=86_400, description="Seconds to finish accepted requests after SIGTERM or Ctrl-C."
    )
    heartbeat_seconds: float = Field(
        15.0, gt=0, le=3600, description="Seconds of silence after which a stream gets a comment line."
    )
    log_format: LogFormat = Field("auto", description="json, text, or auto: text on a terminal, else json.")
    log_level: LogLevel = Field(
        "info",
        description="debug, info, warning or error; debug adds exception messages, which may quote text.",
    )

    traces_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+\S*)?$",
        description="OTLP/HTTP address of a collector that traces are sent to; empty: there are none.",
    )
    traces_sample_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of the traces that begin here which are recorded."
    )

    @field_validator("port", mode="before")
    @classmethod
    def _ignore_service_link(cls, value: object) -> object:
        """Kubernetes sets VERTO_PORT=tcp://… for a service called "verto": that is no choice of ours."""
        return DEFAULT_PORT if isinstance(value, str) and value.startswith("tcp://") else value

    @field_validator("num_threads")
    @classmethod
    def _check_threads(cls, value: int) -> int:
        """Threads that wait for each other, many to a processor, take minutes for what one does at once."""
        bound = usable_processors() * MAX_THREADS_A_PROCESSOR
        if value > bound:
            raise ValueError(f"must be at most {bound}, {MAX_THREADS_A_PROCESSOR} for each usable processor")
        return value

    @field_validator("traces_endpoint")
    @classmethod
    def _check_address(cls, value: str) -> str:
        """What only taking it to pieces shows; whoever sends there would find out too late to say so."""
        try:
            if urlsplit(value).port == 0:
                raise ValueError("Port out of range 1-65535")
        except ValueError as error:
            raise ValueError(f"must be an address such as http://collector:4318: {error}") from None
        return value

    @field_validator("admin_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        """Such as fits into a header and cannot be guessed; a line end is from the file that it stood in."""
        key = value.get_secret_value().strip()
        if key and not (MIN_KEY_CHARACTERS <= len(key) <= MAX_KEY_CHARACTERS and _VISIBLE.fullmatch(key)):
            bounds = f"{MIN_KEY_CHARACTERS} to {MAX_KEY_CHARACTERS}"
            raise ValueError(f"must be {bounds} visible ASCII characters without a space")
        return SecretStr(key)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment; no file is read behind the user's back."""
        return init_settings, env_settings


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """The settings, and for each field where its value came from: command line, environment or default."""

    settings: Settings
    origins: Mapping[str, str]


def resolve_settings(command_line: Mapping[str, Any] | None = None) -> ResolvedSettings:
    """From the given options (None: not given), the environment and the defaults. Raises SettingsError."""
    given = {name: value for name, value in (command_line or {}).items() if value is not None}
    _refuse_unknown_variables()
    origins = {name: _origin(name, given) for name in Settings.model_fields}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error, origins)) from None
    return ResolvedSettings(settings, origins)


def _origin(name: str, given: Mapping[str, Any]) -> str:
    if name in given:
        return "command line"
    variable = PREFIX + name.upper()
    return f"environment {variable}" if os.environ.get(variable) else "default"


def _refuse_unknown_variables() -> None:
    """A misspelt variable would otherwise be ignored without a word."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in known and not _SERVICE_LINK.fullmatch(variable):
            close = difflib.get_close_matches(variable, known, 1)
            hint = f"; did you mean {close[0]}?" if close else "; `verto serve --show-settings` lists all"
            raise SettingsError(f"environment variable {variable} is no setting of Verto{hint}")


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    faults = []
    for fault in error.errors():
        name = str(fault["loc"][0])
        origin = origins.get(name, "unknown setting")
        faults.append(f"{name} ({origin}): {_bound(name, fault)}, got {_shown(name, fault['input'])}")
    return "; ".join(faults)


def _bound(name: str, fault: Mapping[str, object]) -> str:
    """What pydantic says of it; for a pattern, which is for machines, what the setting is meant to be."""
    if fault["type"] == "string_pattern_mismatch":
        return f"must be {str(Settings.model_fields[name].description).rstrip('.')}"
    return str(fault["msg"]).removeprefix("Value error, ")


def _shown(name: str, value: object) -> str:
    """What came; of a secret not even that."""
    is_secret = name in Settings.model_fields and Settings.model_fields[name].annotation is SecretStr
    return f"a secret of {len(str(value))} characters" if is_secret else repr(value)
