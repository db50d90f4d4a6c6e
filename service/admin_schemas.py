"""What the admin API takes and answers: names, types and meaning, as OpenAPI shows them.

Knows JSON; must not know engines or HTTP.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_SWAP = (
    "`beside`: the old model serves until the new one does, both in memory meanwhile; `unload_first`: the "
    "old one goes first, and requests for it are answered with 503 until the new one is there"
)


class LoadRequest(BaseModel):
    """Which bundle is to be served."""

    model_config = ConfigDict(extra="forbid", strict=True)

    folder: Annotated[
        str,
        Field(max_length=255, description="Name of the bundle's folder in the models' folder; not a path."),
    ]
    swap: Literal["none", "beside", "unload_first"] = Field(
        "none",
        description=f"What becomes of a model that is served under the name. `none`: status 409; {_SWAP}.",
    )


class ReloadRequest(BaseModel):
    """How a model takes its own place, its folder read again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    swap: Literal["beside", "unload_first"] = Field("beside", description=f"{_SWAP}.")


def _optional(**extra: Any) -> Any:
    return Field(default=None, exclude_if=lambda value: value is None, **extra)


class MemoryAnswer(BaseModel):
    """Bytes that a model is expected to take."""

    needed_bytes: int = Field(description="Weights, keys and values, and its process together.")
    weights_bytes: int
    cache_bytes: int = Field(description="Keys and values at the most; taken as they are needed.")
    cache_bytes_used: int = Field(description="Of them reserved at the moment.")
    process_bytes: int = Field(description="Python and libraries, where the engine has a process of its own.")


class AdminModelAnswer(BaseModel):
    """One bundle that is, was to be, or is no longer to be served. Two may have one name during a swap."""

    name: str
    version: str
    folder: str = Field(description="In the models' folder; `.`: that folder itself.")
    state: Literal["loading", "warming", "serving", "draining", "failed"]
    reason: str | None = _optional(description="With `failed`: why.")
    since: int = Field(description="When it entered this state, in seconds since 1970.")
    manifest_sha256: str = Field(description="By which a bundle is told from another of the same version.")
    load_seconds: float | None = _optional(description="From its start until it took work.")
    dtype: str | None = _optional()
    device: str | None = _optional()
    path: str | None = _optional(description="What computes at present: native kernels, or eager (PyTorch).")
    memory: MemoryAnswer


class RoomAnswer(BaseModel):
    """Memory for models."""

    limit_bytes: int | None = Field(description="VERTO_MODELS_BYTES_LIMIT; null: what the machine has.")
    free_bytes: int | None = Field(description="That one more model may need; null where it cannot be known.")


class WaitingAnswer(BaseModel):
    folder: str
    reason: str


class WatchAnswer(BaseModel):
    """The watch over the models' folder."""

    seconds: float = Field(description="Between two looks.")
    waiting: list[WaitingAnswer] = Field(description="Folders that are not served as they are, and why.")


class AdminModelsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[AdminModelAnswer] = Field(description="By name, then by age.")
    memory: RoomAnswer
    folders: list[str] = Field(description="Bundles that lie in the models' folder: what may be loaded.")
    watch: WatchAnswer | None = Field(description="With VERTO_WATCH_SECONDS; null: it is not watched.")


class AdminModelNamedAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[AdminModelAnswer] = Field(description="All of this name, the oldest first.")
