"""A model of the Hugging Face hub by its name: the files that an import reads, and no others.

Knows: the hub's client, which is optional, and what can go wrong on the way. Must not know: what files hold.
Files stay in the client's own cache, which other tools share; an interrupted download goes on where it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)

_WAYS_OUT = "from the root of the clone: pip install '.[hub]'; or give a folder"
_SECONDS = 20.0  # that the hub may take to say which files a model has
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# What some family's importer reads; where a model has no such file, it is not fetched.
_OPTIONAL = (
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "target_vocab.json",
    "source.spm",
    "target.spm",
    "sentencepiece.bpe.model",
    "tokenizer.json",
    "vocab-src.json",
    "vocab-tgt.json",
    "merges.txt",
    "README.md",
)


class HubError(Exception):
    """A model cannot be fetched; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where a model's files lie now, and what it is called: name and revision."""

    folder: Path
    origin: str


def fetch(
    name: str, *, revision: str = "main", endpoint: str | None = None, cache: Path | None = None
) -> Fetched:
    """Download what is not in the cache yet; without a connection, take what is there.

    `endpoint`: the address of another hub. Raises HubError.
    """
    client = _client(name)
    with _told(name, revision):
        try:
            folder = _download(_Model(client, name, revision, endpoint, cache))
        except _no_connection(client):
            # Complete, or not: the importer names the first file that it misses.
            folder = Path(
                client.snapshot_download(name, revision=revision, cache_dir=cache, local_files_only=True)
            )
    return Fetched(folder, f"{name}, revision {folder.name}")


@dataclass(frozen=True, slots=True)
class _Model:
    """One revision of a model, and the client that is asked for its files."""

    client: Any
    name: str
    revision: str
    endpoint: str | None
    cache: Path | None

    def listed(self) -> set[str]:
        """The names of its files."""
        api = self.client.HfApi(endpoint=self.endpoint)
        info = api.model_info(self.name, revision=self.revision, timeout=_SECONDS)
        return {file.rfilename for file in info.siblings or ()}

    def file(self, name: str) -> Path:
        """Where it lies now."""
        path = self.client.hf_hub_download(
            self.name, name, revision=self.revision, endpoint=self.endpoint, cache_dir=self.cache
        )
        return Path(path)


def _download(model: _Model) -> Path:
    """The needed files of a model; their folder."""
    listed = model.listed()
    weights = next((name for name in _WEIGHTS if name in listed), None)
    if "config.json" not in listed or weights is None:
        missing = "config.json" if "config.json" not in listed else f"any of {', '.join(_WEIGHTS)}"
        raise HubError(f"{model.name}: the hub's model lacks {missing}")
    for name in ("config.json", *(name for name in _OPTIONAL if name in listed)):
        model.file(name)
    path = model.file(weights)
    for shard in _shards(path) if weights.endswith(".index.json") else ():
        model.file(shard)
    return path.parent


def _client(name: str) -> Any:
    """The hub's client. Raises HubError where it is not installed."""
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        fault = f"{error.name} is missing, which a model's name needs"
        raise HubError(f"{name}: {fault}; {_WAYS_OUT}") from error
    return huggingface_hub


def _no_connection(client: Any) -> tuple[type[Exception], ...]:
    """What the client raises where nobody answers: its own errors, and those of what it speaks HTTP with."""
    transport = client.errors.HfHubHTTPError.__mro__
    http_error = next(one for one in transport if one.__name__ == "HTTPError")
    silent = [one for one in http_error.__subclasses__() if one.__name__ == "RequestError"]
    return (*silent, client.errors.LocalEntryNotFoundError, client.errors.OfflineModeIsEnabled)


@contextmanager
def _told(name: str, revision: str) -> Iterator[None]:
    """The client's many errors as one that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise HubError(f"{name}: not a name that the hub can have ({error})") from error
    except errors.GatedRepoError as error:
        fault = "its terms have to be accepted on the hub first; then log in with `hf auth login`"
        raise HubError(f"{name}: {fault}") from error
    except errors.RepositoryNotFoundError as error:
        fault = "no such folder here, and no such model on the hub (a private one needs `hf auth login`)"
        raise HubError(f"{name}: {fault}") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{name}: the model has no revision {revision!r}") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        fault = "the hub cannot be reached, and the model is not in the cache; give a folder, or try again"
        raise HubError(f"{name}: {fault}") from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"{name}: the hub's model lacks a file that its index names") from error
    except errors.HfHubHTTPError as error:
        raise HubError(f"{name}: the hub refused ({str(error).splitlines()[0]})") from error


def _shards(index: Path) -> list[str]:
    """The files that an index names. Raises HubError for one that names none."""
    try:
        weight_map = json.loads(index.read_bytes())["weight_map"]
        return sorted(set(map(str, weight_map.values())))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HubError(f"{index.name}: not an index of weights") from error
