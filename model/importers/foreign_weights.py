"""The tensors of a Hugging Face folder, one at a time: from safetensors, or pickles that hold tensors only.

Knows: which files hold weights, and what is wrong with them. Must not know: what a tensor's name means.
A pickle is opened by `torch.load(weights_only=True)`, which builds tensors and calls nothing else.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.config import ModelConfig
from model.importers.foreign import ForeignFolder
from model.manifest import BundleError, check_name, describe
from model.weights import check_room

SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_OF_OTHER_PROGRAMS = ("tf_model.h5", "flax_model.msgpack", "rust_model.ot", "model.npz", "model.onnx")
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class TensorFile(Protocol):
    """One opened file."""

    def names(self) -> list[str]: ...
    def get(self, name: str) -> Tensor: ...


class ForeignWeights:
    """All tensors of a folder by name; remembers which have been asked for."""

    def __init__(self, folder: ForeignFolder) -> None:
        """Opens every file, so that a missing or truncated one is told at once. Raises BundleError."""
        if "quantization_config" in folder.config:
            raise BundleError(
                folder.config.path, "quantization_config is there: quantised models are not imported"
            )
        self.path, self._files = _opened(folder)
        self._config_path = folder.config.path
        self._asked: set[str] = set()
        self.dtypes: set[torch.dtype] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._files

    @property
    def unasked(self) -> list[str]:
        """The names that nobody asked for."""
        return sorted(self._files.keys() - self._asked)

    def get(self, name: str) -> Tensor:
        """In float32, on the CPU. Raises BundleError for one that is missing, no float, or not finite."""
        if name not in self._files:
            raise BundleError(self.path, f"tensor {name} is missing")
        self._asked.add(name)
        path, file = self._files[name]
        tensor = file.get(name)
        if tensor.is_meta or tensor.layout != torch.strided:
            raise BundleError(path, f"tensor {name} holds no dense values")
        if tensor.dtype not in _FLOATS:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _FLOATS)
            fault = f"tensor {name} is of type {str(tensor.dtype).removeprefix('torch.')}, not one of {known}"
            raise BundleError(path, f"{fault}; quantised weights are not imported")
        if not bool(torch.isfinite(tensor).all()):
            raise BundleError(path, f"tensor {name} has values that are not finite (NaN or infinity)")
        self.dtypes.add(tensor.dtype)
        return tensor.float()

    def stored_dtype(self, name: str) -> torch.dtype:
        """The type in which a tensor that is there is kept."""
        return self._files[name][1].get(name).dtype

    def check_room(self, config: ModelConfig) -> None:
        """Raises BundleError, naming `config.json`, for a network that these files cannot hold."""
        paths = {path for path, _ in self._files.values()}
        check_room(self._config_path, config, sum(path.stat().st_size for path in paths))

    def ignore(self, name: str) -> None:
        """Say that this tensor, if it is there, carries nothing."""
        self._asked.add(name)

    def check_copy(self, name: str, original: str) -> None:
        """A tied tensor that is stored nevertheless must repeat the one it is tied to. Raises BundleError."""
        if name in self and not torch.equal(self.get(name), self.get(original)):
            fault = f"tensor {name} differs from {original}, though config.json ties the two"
            raise BundleError(self._files[name][0], fault)


def _opened(folder: ForeignFolder) -> tuple[Path, dict[str, tuple[Path, TensorFile]]]:
    """The file that lists the tensors, and where each of them is."""
    name = folder.first((*SAFETENSORS, *PICKLES))
    if name is None:
        raise BundleError(folder.path, _nothing_to_read(folder))
    if not name.endswith(".index.json"):
        path = folder.file(name)
        file = _open(path)
        return path, dict.fromkeys(file.names(), (path, file))
    return folder.path / name, _sharded(folder, name)


def _nothing_to_read(folder: ForeignFolder) -> str:
    fault = f"none of {', '.join((*SAFETENSORS, *PICKLES))} is there"
    other = folder.first(_OF_OTHER_PROGRAMS)
    return f"{fault}; {other} is of another program" if other else fault


def _sharded(folder: ForeignFolder, index: str) -> dict[str, tuple[Path, TensorFile]]:
    path = folder.path / index
    weight_map = folder.json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BundleError(path, "weight_map must be a JSON object of tensor names and file names")
    for tensor, name in weight_map.items():
        if not isinstance(name, str):
            raise BundleError(path, f"weight_map must give {tensor} the name of a file, got {name!r:.80}")
    files = {name: _open(folder.file(check_name(path, name))) for name in sorted(set(weight_map.values()))}
    held = {name: set(file.names()) for name, file in files.items()}
    for tensor, name in weight_map.items():
        if tensor not in held[name]:
            raise BundleError(folder.path / name, f"tensor {tensor} is missing, though {index} names it")
    # What the index forgets is there nevertheless, for `transformers` as for us.
    places = {tensor: name for name in files for tensor in held[name]} | weight_map
    return {tensor: (folder.path / name, files[name]) for tensor, name in places.items()}


def _open(path: Path) -> TensorFile:
    return _SafetensorsFile(path) if path.suffix == ".safetensors" else _PickleFile(path)


class _SafetensorsFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            file: Any = safe_open(path, framework="pt")
            self._file = file.__enter__()
        except SafetensorError as error:
            raise BundleError(path, f"not a whole safetensors file ({error})") from error
        except OSError as error:
            raise BundleError(path, describe(error)) from error

    def names(self) -> list[str]:
        return list(self._file.keys())

    def get(self, name: str) -> Tensor:
        try:
            tensor: Tensor = self._file.get_tensor(name)
        except SafetensorError as error:
            raise BundleError(self._path, f"tensor {name} cannot be read ({error})") from error
        return tensor


class _PickleFile:
    def __init__(self, path: Path) -> None:
        self._tensors = dict(_pickled_tensors(path))

    def names(self) -> list[str]:
        return list(self._tensors)

    def get(self, name: str) -> Tensor:
        return self._tensors[name]


# What reading a damaged pickle may end with.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
_FOREIGN_NAME = re.compile(r"GLOBAL ([\w.]+)")


def _pickled_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of uncommon pickle protocols: what they hold is read or refused
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise BundleError(path, f"holds more than tensors, or is no checkpoint{_named(error)}") from error
    except _DAMAGED as error:
        reason = str(error).split("\n")[0][:200] or "damaged"
        raise BundleError(path, f"not a whole checkpoint ({reason})") from error
    except OSError as error:
        raise BundleError(path, describe(error)) from error
    if not isinstance(content, Mapping):
        raise BundleError(path, f"must be tensors by name, got {type(content).__name__}")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BundleError(path, f"must be tensors by name, got {name!r}: {type(tensor).__name__}")
        yield name, tensor


def _named(error: pickle.UnpicklingError) -> str:
    """What the pickle would have called, where it says so; not PyTorch's advice to load it all the same."""
    found = _FOREIGN_NAME.search(str(error))
    return f"; not loaded: it names {found[1]}" if found else "; not loaded"
