"""Weights are read whole or refused by file, tensor and fault; a pickle never runs code."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from model.importers.foreign import ForeignFolder
from model.importers.foreign_weights import ForeignWeights
from model.manifest import BundleError

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4), "c": torch.zeros(2, 2)}


def folder(path: Path, **config: Any) -> ForeignFolder:
    (path / "config.json").write_text(json.dumps({"model_type": "marian", **config}))
    return ForeignFolder.open(path)


def write_safetensors(path: Path, tensors: dict[str, Tensor] = TENSORS) -> None:
    safetensors.torch.save_file(tensors, path / "model.safetensors")


def write_shards(path: Path, suffix: str) -> None:
    """Two files and their index."""
    stem, save = (
        ("model", safetensors.torch.save_file) if suffix == "safetensors" else ("pytorch_model", torch.save)
    )
    shards = {f"{stem}-00001-of-00002.{suffix}": ["a"], f"{stem}-00002-of-00002.{suffix}": ["b", "c"]}
    for name, names in shards.items():
        save({tensor: TENSORS[tensor] for tensor in names}, path / name)
    weight_map = {tensor: name for name, names in shards.items() for tensor in names}
    (path / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write(path: Path, form: str) -> None:
    if form == "safetensors":
        write_safetensors(path)
    elif form == "bin":
        torch.save(TENSORS, path / "pytorch_model.bin")
    elif form == "old-bin":
        torch.save(OrderedDict(TENSORS), path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    else:
        write_shards(path, form.removeprefix("sharded-"))


FORMS = ["safetensors", "bin", "old-bin", "sharded-safetensors", "sharded-bin"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors(tmp_path: Path, form: str) -> None:
    write(tmp_path, form)
    weights = ForeignWeights(folder(tmp_path))
    assert weights.unasked == ["a", "b", "c"]
    for name, tensor in TENSORS.items():
        assert torch.equal(weights.get(name), tensor)
    assert weights.unasked == []
    assert "d" not in weights


@pytest.mark.parametrize("form", FORMS)
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, form: str) -> None:
    write(tmp_path, form)
    victim = next(p for p in sorted(tmp_path.iterdir()) if p.suffix in (".safetensors", ".bin"))
    for keep in (victim.stat().st_size - 8, victim.stat().st_size // 2, 0):
        victim.write_bytes(victim.read_bytes()[:keep])
        with pytest.raises(BundleError, match=f"{victim.name}: ") as refused:
            ForeignWeights(folder(tmp_path))
        assert refused.value.path == victim


def test_safetensors_are_preferred(tmp_path: Path) -> None:
    write_safetensors(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not read")
    assert "a" in ForeignWeights(folder(tmp_path))


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (open, ("/nonexistent/run",))


def test_what_an_index_forgets_is_there_nevertheless(tmp_path: Path) -> None:
    write_shards(tmp_path, "safetensors")
    path = tmp_path / "model.safetensors.index.json"
    weight_map = json.loads(path.read_text())["weight_map"]
    forgotten = weight_map.popitem()[0]
    path.write_text(json.dumps({"weight_map": weight_map}))
    assert torch.equal(ForeignWeights(folder(tmp_path)).get(forgotten), TENSORS[forgotten])


def test_a_pickle_of_the_old_form_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BundleError, match=r"pytorch_model\.bin: (not a whole|holds more)"):
            ForeignWeights(folder(tmp_path))


def test_no_advice_to_load_it_all_the_same_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"garbage")
    with pytest.raises(BundleError) as caught:
        ForeignWeights(folder(tmp_path))
    assert "weights_only" not in str(caught.value)


def test_half_a_character_in_a_json_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"langs": ["\\ud83d", "de"], "fine": "\\ud83d\\ude00"}')
    with pytest.raises(BundleError, match=r"config\.json: holds \\ud83d, half of a surrogate pair"):
        ForeignFolder.open(tmp_path)
    (tmp_path / "config.json").write_text('{"fine": "\\ud83d\\ude00"}')
    assert ForeignFolder.open(tmp_path).config.text("fine") == "😀"


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blobs" / "x")
    with pytest.raises(BundleError, match=r"model\.safetensors: missing"):
        ForeignWeights(folder(tmp_path))


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_holds_more_than_tensors_is_not_loaded(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil()}, protocol=protocol))
    with pytest.raises(
        BundleError, match=r"pytorch_model\.bin: holds more than tensors, or is no checkpoint"
    ):
        ForeignWeights(folder(tmp_path))


def test_a_checkpoint_of_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BundleError, match="holds more than tensors"):
        ForeignWeights(folder(tmp_path))


@pytest.mark.parametrize("content", [[TENSORS["a"]], {"a": [1.0]}, {1: TENSORS["a"]}])
def test_a_pickle_of_something_else_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(BundleError, match="must be tensors by name"):
        ForeignWeights(folder(tmp_path))


def test_no_weights_at_all_names_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "tf_model.h5").write_bytes(b"")
    with pytest.raises(
        BundleError, match=r"none of model\.safetensors.*; tf_model\.h5 is of another program"
    ):
        ForeignWeights(folder(tmp_path))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, "safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model-00002-of-00002\.safetensors: missing"):
        ForeignWeights(folder(tmp_path))


@pytest.mark.parametrize(
    ("weight_map", "fault"),
    [
        ({"a": "../model.safetensors"}, "does not name a file inside"),
        ({"d": "model-00001-of-00002.safetensors"}, "tensor d is missing, though"),
        ([], "weight_map must be"),
        ({}, "weight_map must be"),
        ({"a": 5}, "must give a the name of a file, got 5"),
        ({"a": ["x"]}, "must give a the name of a file"),
    ],
)
def test_an_index_that_cannot_be_right_is_refused(tmp_path: Path, weight_map: Any, fault: str) -> None:
    write_shards(tmp_path, "safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(BundleError, match=fault):
        ForeignWeights(folder(tmp_path))


@pytest.mark.parametrize(
    ("tensor", "fault"),
    [
        (torch.zeros(2, dtype=torch.int8), "tensor a is of type int8, not one of float32.*quantised"),
        (torch.zeros(2).to(torch.float8_e4m3fn), "tensor a is of type float8_e4m3fn"),
        (torch.tensor([1.0, float("nan")]), "tensor a has values that are not finite"),
    ],
)
def test_a_tensor_of_unusable_values_is_refused_by_name(tmp_path: Path, tensor: Tensor, fault: str) -> None:
    write_safetensors(tmp_path, {"a": tensor})
    with pytest.raises(BundleError, match=fault):
        ForeignWeights(folder(tmp_path)).get("a")


def test_a_quantised_checkpoint_is_refused_before_its_tensors(tmp_path: Path) -> None:
    write_safetensors(tmp_path)
    with pytest.raises(BundleError, match=r"config\.json: quantization_config is there"):
        ForeignWeights(folder(tmp_path, quantization_config={"quant_method": "gptq"}))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    write_safetensors(tmp_path, {"a": TENSORS["a"].to(dtype)})
    weights = ForeignWeights(folder(tmp_path))
    assert weights.get("a").dtype == torch.float32
    assert weights.dtypes == {dtype}


def test_a_pointer_of_git_lfs_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(BundleError, match=r"is only a pointer of Git LFS; `git lfs pull`"):
        ForeignWeights(folder(tmp_path))


@pytest.mark.parametrize("tensor", [torch.eye(2).to_sparse(), torch.empty(2, device="meta")])
def test_a_tensor_without_dense_values_is_refused_by_name(tmp_path: Path, tensor: Tensor) -> None:
    torch.save({"a": tensor}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BundleError, match=r"pytorch_model\.bin: tensor a holds no dense values"):
        ForeignWeights(folder(tmp_path)).get("a")
