"""A network's weights to and from safetensors files, one or several, with nothing taken on trust.

Knows: tensor names, shapes, types and values. Must not know: the rest of a bundle, checksums.
Tensors that the network shares (tied embeddings) are stored once, under the first of their names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model.bundle_config import CONFIG_FILE
from model.bundle_head import INDEX_FILE, WEIGHTS_FILE
from model.config import ModelConfig
from model.manifest import BundleError, check_name, describe, dump_json, parse_json, read_bytes, write_bytes
from model.transformer import Transformer

_TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
STORED_TYPES = tuple(_TYPES.values())
# What pickles begin with: the protocol mark of versions 2 to 5, and the zip archive that torch.save writes.
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def stored_tensors(folder: Path, model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights by name, in `dtype`, on the CPU.

    Raises BundleError, naming the `folder` meant for them, for a value that is not finite, also in `dtype`.
    """
    return {name: _stored(folder, name, tensor, dtype) for name, tensor in named_tensors(model).items()}


def write_weights(folder: Path, tensors: Mapping[str, Tensor], max_shard_bytes: int) -> list[str]:
    """One file, or several and an index above `max_shard_bytes`; the file names. Raises OSError."""
    shards = _shards(tensors, max_shard_bytes)
    if len(shards) == 1:
        write_tensors(folder / WEIGHTS_FILE, shards[0])
        return [WEIGHTS_FILE]
    names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        write_tensors(folder / name, shard)
    weight_map = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
    total_size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    write_bytes(folder / INDEX_FILE, dump_json(index))
    return [*names, INDEX_FILE]


def read_model(
    folder: Path,
    files: frozenset[str],
    config: ModelConfig,
    device: torch.device,
    dtype: torch.dtype | None,
) -> Transformer:
    """The network of `config`, in eval mode, with the weights among these files. Raises BundleError.

    `dtype` None: as they are stored, and not copied: what is not looked at takes no memory.
    """
    check_room(folder / CONFIG_FILE, config, _stored_bytes(folder, files))
    model = empty_model(config)
    expected = named_tensors(model)
    tensors: dict[str, Tensor] = {}
    for path, names in _weight_files(folder, files, frozenset(expected)).items():
        with _open(path) as file:
            _check_names(path, frozenset(file.keys()), names)
            for name in sorted(names):
                _check_header(path, name, file.get_slice(name), expected[name])
                tensors[name] = _checked(path, name, file.get_tensor(name), device, dtype)
    put_tensors(model, tensors)
    return (model if dtype is None else model.to(device=device, dtype=dtype)).eval()


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """`state_dict` with shared tensors once, under their first name."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        first.setdefault(id(tensor), (name, tensor))
    return dict(first.values())


def _stored(folder: Path, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    stored = tensor.detach().to(device="cpu", dtype=dtype).contiguous()
    if not _is_finite(tensor.detach()):
        raise BundleError(folder, f"tensor {name} has values that are not finite; nothing was saved")
    if not _is_finite(stored):
        raise BundleError(folder, f"tensor {name} has values too large for {dtype}; nothing was saved")
    return stored


def _shards(tensors: Mapping[str, Tensor], max_bytes: int) -> list[dict[str, Tensor]]:
    """Consecutive tensors up to `max_bytes` together; one that is larger has a file of its own."""
    shards: list[dict[str, Tensor]] = [{}]
    room = max_bytes
    for name, tensor in tensors.items():
        if shards[-1] and tensor.nbytes > room:
            shards.append({})
            room = max_bytes
        shards[-1][name] = tensor
        room -= tensor.nbytes
    return shards


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """A safetensors file that is on the disk, for whoever may read its folder. Raises OSError,
    SafetensorError."""
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    # safetensors makes files that only their owner may read; a server runs as somebody else.
    path.chmod(path.parent.stat().st_mode & 0o666)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _weight_files(
    folder: Path, files: frozenset[str], expected: frozenset[str]
) -> dict[Path, frozenset[str]]:
    """Which tensors each weights file must hold."""
    if WEIGHTS_FILE in files and INDEX_FILE in files:
        raise BundleError(folder / INDEX_FILE, f"stands beside {WEIGHTS_FILE}; a bundle has one or the other")
    if INDEX_FILE not in files:
        return {folder / WEIGHTS_FILE: expected}
    index = folder / INDEX_FILE
    weight_map = _weight_map(index)
    _check_names(index, frozenset(weight_map), expected)
    for name in weight_map.values():
        if check_name(index, name) not in files:
            raise BundleError(index, f"names {name}, which the manifest does not list")
    return {
        folder / file: frozenset(name for name, holder in weight_map.items() if holder == file)
        for file in sorted(set(weight_map.values()))
    }


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = parse_json(index, read_bytes(index)).get("weight_map")
    if not isinstance(weight_map, dict):
        raise BundleError(index, "weight_map must be a JSON object of tensor names and file names")
    return {name: check_name(index, file) for name, file in weight_map.items()}


def _check_names(path: Path, found: frozenset[str], expected: frozenset[str]) -> None:
    if missing := sorted(expected - found):
        raise BundleError(path, f"tensor {missing[0]} is missing ({len(missing)} missing in all)")
    if unexpected := sorted(found - expected):
        fault = f"tensor {unexpected[0]} does not belong to this architecture"
        raise BundleError(path, f"{fault} ({len(unexpected)} unexpected in all)")


def _check_header(path: Path, name: str, header: Any, expected: Tensor) -> None:
    shape, wanted = list(header.get_shape()), list(expected.shape)
    if shape != wanted:
        raise BundleError(path, f"tensor {name} has shape {shape}; the architecture says {wanted}")
    if header.get_dtype() not in _TYPES:
        known = ", ".join(_TYPES)
        raise BundleError(path, f"tensor {name} is of type {header.get_dtype()}; weights are one of {known}")


def _checked(
    path: Path, name: str, tensor: Tensor, device: torch.device, dtype: torch.dtype | None
) -> Tensor:
    if not _is_finite(tensor):
        raise BundleError(path, f"tensor {name} has values that are not finite (NaN or infinity)")
    if dtype is None:
        return tensor
    # A copy always: what safetensors gives is the mapped file, and a file may change under a running server.
    converted = tensor.to(device=device, dtype=dtype, copy=True)
    if not _is_finite(converted):
        raise BundleError(path, f"tensor {name} has values too large for {dtype}; load it in another type")
    return converted


def _is_finite(tensor: Tensor) -> bool:
    """Whether all are; NaN spreads into the extremes, so one pass without a copy tells."""
    low, high = tensor.aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The file's tensors, mapped, not read. Raises BundleError when it is no safetensors file."""
    try:
        with path.open("rb") as plain:
            start = plain.read(4)
        if start.startswith(_PICKLE_STARTS):
            raise BundleError(path, "is a pickle, not a safetensors file; pickles are never loaded")
        str(path).encode()
        with safe_open(path, framework="pt") as file:
            yield file
    except UnicodeEncodeError as error:
        raise BundleError(
            path, "its path is not in UTF-8, as safetensors wants it: rename the folder"
        ) from error
    except SafetensorError as error:
        raise BundleError(path, f"not a safetensors file ({error})") from error
    except OSError as error:
        raise BundleError(path, describe(error)) from error


def check_room(path: Path, config: ModelConfig, num_bytes: int) -> None:
    """Raises BundleError, naming `path`, where files of so many bytes cannot hold the network: before sizes
    are taken for true, and memory is asked for."""
    if (least := config.fewest_weights()) > num_bytes:
        raise BundleError(path, f"describes at least {least:,} weights; the files have {num_bytes:,} bytes")


def _stored_bytes(folder: Path, files: frozenset[str]) -> int:
    """Of all weight files. Raises BundleError for one that is none."""
    paths = [folder / name for name in files if name.endswith(".safetensors")]
    for path in paths:
        with _open(path):
            pass
    return sum(path.stat().st_size for path in paths)


def empty_model(config: ModelConfig) -> Transformer:
    """The network with unset weights: to draw random ones first would take longer than to load."""
    with _WithoutDrawing():
        return Transformer(config)


def put_tensors(model: Transformer, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors in place of the empty ones; what was shared is shared again."""
    empty_tensors = model.state_dict(keep_vars=True)
    placed: dict[int, Tensor] = {}
    for name, empty in empty_tensors.items():
        if id(empty) not in placed:
            placed[id(empty)] = nn.Parameter(tensors[name])
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, placed[id(empty)])


class _WithoutDrawing(TorchFunctionMode):
    """Within it, random initialisation leaves tensors unset, and the global random state as it was.

    The "meta" device would do the same, but its random functions import a compiler: tens of seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        initialises = getattr(func, "__module__", None) == nn.init.__name__
        if initialises or func in (Tensor.uniform_, Tensor.normal_):
            return args[0] if args else (kwargs or {})["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **(kwargs or {}))
