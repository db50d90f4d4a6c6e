"""Weights that cannot be used, in one file or several: the error names the tensor."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from model.checkpoint import BundleError, load_bundle
from tests.model.bundle_faults import (
    INDEX,
    WEIGHTS,
    edit_json,
    edit_weights,
    fault_of,
    full_vocabulary,
    refresh_manifest,
    same_weights,
    save,
)


class TestShards:
    def test_sharded_is_unsharded(self, tmp_path: Path, saved: Path) -> None:
        network = full_vocabulary(tie_output=True)
        save(tmp_path / "whole", network)
        save(tmp_path / "parts", network, max_shard_bytes=50_000)
        assert not (tmp_path / "parts" / WEIGHTS).exists()
        assert len(list((tmp_path / "parts").glob("model-*-of-*.safetensors"))) > 2
        assert same_weights(load_bundle(tmp_path / "parts").model, load_bundle(tmp_path / "whole").model)

    def test_only_a_single_tensor_may_exceed_the_limit(self, tmp_path: Path) -> None:
        save(tmp_path / "parts", max_shard_bytes=50_000)
        for path in (tmp_path / "parts").glob("model-*.safetensors"):
            tensors = safetensors.torch.load_file(path)
            assert len(tensors) == 1 or sum(tensor.nbytes for tensor in tensors.values()) <= 50_000

    @pytest.fixture
    def parts(self, tmp_path: Path) -> Path:
        save(tmp_path / "parts", max_shard_bytes=50_000)
        return tmp_path / "parts"

    def shards(self, parts: Path) -> list[str]:
        return sorted(path.name for path in parts.glob("model-*-of-*.safetensors"))

    def test_a_missing_shard_is_named(self, parts: Path) -> None:
        name = self.shards(parts)[1]
        (parts / name).unlink()
        assert fault_of(parts, name) == "missing"

    def test_an_index_that_leaves_the_folder_is_refused(self, parts: Path) -> None:
        edit_json(
            parts / INDEX, lambda index: index["weight_map"].update({"output.weight": "../x.safetensors"})
        )
        refresh_manifest(parts)
        assert fault_of(parts, INDEX) == "'../x.safetensors' does not name a file inside the bundle"

    def test_an_index_that_names_an_unlisted_file_is_refused(self, parts: Path) -> None:
        edit_json(parts / INDEX, lambda index: index["weight_map"].update({"output.weight": "x.safetensors"}))
        refresh_manifest(parts)
        assert "names x.safetensors, which the manifest does not list" in fault_of(parts, INDEX)

    def test_a_tensor_that_the_index_lacks_is_named(self, parts: Path) -> None:
        edit_json(parts / INDEX, lambda index: index["weight_map"].pop("output.weight"))
        refresh_manifest(parts)
        assert fault_of(parts, INDEX) == "tensor output.weight is missing (1 missing in all)"

    def test_a_tensor_that_its_shard_lacks_is_named(self, parts: Path) -> None:
        name = self.shards(parts)[-1]
        edit_weights(parts, lambda tensors: tensors.pop("output.weight"), name)
        assert fault_of(parts, name) == "tensor output.weight is missing (1 missing in all)"

    def test_a_tensor_in_two_shards_is_refused(self, parts: Path) -> None:
        name = self.shards(parts)[0]
        edit_weights(parts, lambda tensors: tensors.update({"output.weight": torch.ones(1)}), name)
        assert "tensor output.weight does not belong" in fault_of(parts, name)

    def test_an_index_beside_a_whole_file_is_refused(self, parts: Path, saved: Path) -> None:
        shutil.copy(saved / WEIGHTS, parts)
        refresh_manifest(parts)
        assert "one or the other" in fault_of(parts, INDEX)

    @pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"weight_map": {"output.weight": 3}}'])
    def test_an_index_that_is_none_is_refused(self, parts: Path, content: bytes) -> None:
        (parts / INDEX).write_bytes(content)
        refresh_manifest(parts)
        assert fault_of(parts, INDEX)


class TestWeights:
    def test_a_missing_tensor_is_named(self, bundle: Path) -> None:
        edit_weights(bundle, lambda tensors: tensors.pop("output.weight"))
        assert fault_of(bundle, WEIGHTS) == "tensor output.weight is missing (1 missing in all)"

    def test_an_unexpected_tensor_is_named(self, bundle: Path) -> None:
        edit_weights(bundle, lambda tensors: tensors.update({"output.extra": torch.ones(2)}))
        fault = fault_of(bundle, WEIGHTS)
        assert fault == "tensor output.extra does not belong to this architecture (1 unexpected in all)"

    @pytest.mark.parametrize("shape", [(480, 31), (480 * 32,), (32, 480), (1, 480, 32), (0, 32)], ids=str)
    def test_a_wrong_shape_is_named(self, bundle: Path, shape: tuple[int, ...]) -> None:
        edit_weights(bundle, lambda tensors: tensors.update({"output.weight": torch.ones(shape)}))
        fault = fault_of(bundle, WEIGHTS)
        assert fault == f"tensor output.weight has shape {list(shape)}; the architecture says [480, 32]"

    @pytest.mark.parametrize(
        "dtype", [torch.int64, torch.int8, torch.bool, torch.float64, torch.float8_e4m3fn]
    )
    def test_a_wrong_type_is_named(self, bundle: Path, dtype: torch.dtype) -> None:
        wrong = torch.ones(480, 32).to(dtype)
        edit_weights(bundle, lambda tensors: tensors.update({"output.weight": wrong}))
        assert fault_of(bundle, WEIGHTS).startswith("tensor output.weight is of type ")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    def test_a_value_that_is_not_finite_is_named(
        self, bundle: Path, value: float, dtype: torch.dtype
    ) -> None:
        wrong = torch.ones(480, 32, dtype=dtype)
        wrong[479, 31] = value
        edit_weights(bundle, lambda tensors: tensors.update({"output.weight": wrong}))
        assert (
            fault_of(bundle, WEIGHTS)
            == "tensor output.weight has values that are not finite (NaN or infinity)"
        )

    def test_a_value_too_large_for_the_type_in_memory_is_named(self, bundle: Path) -> None:
        edit_weights(bundle, lambda tensors: tensors["output.weight"].fill_(1e6))
        load_bundle(bundle)
        with pytest.raises(BundleError, match=r"output\.weight has values too large for torch\.float16"):
            load_bundle(bundle, dtype=torch.float16)

    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_a_pickle_is_never_loaded(self, bundle: Path, protocol: int) -> None:
        (bundle / WEIGHTS).write_bytes(pickle.dumps(_Bomb(), protocol))
        refresh_manifest(bundle)
        fault = fault_of(bundle, WEIGHTS)
        assert fault == "is a pickle, not a safetensors file; pickles are never loaded"

    def test_a_folder_whose_name_is_no_utf_8_is_told_as_such(self, bundle: Path) -> None:
        moved = bundle.rename(bundle.with_name(os.fsdecode(b"b\xff")))
        with pytest.raises(BundleError, match="its path is not in UTF-8, as safetensors wants it"):
            load_bundle(moved)

    def test_what_torch_saves_is_never_loaded(self, bundle: Path) -> None:
        torch.save(full_vocabulary().state_dict(), bundle / WEIGHTS)
        refresh_manifest(bundle)
        assert "pickles are never loaded" in fault_of(bundle, WEIGHTS)

    @pytest.mark.parametrize("content", [b"", b"\0" * 8, b"not at all a safetensors file", b"\xff" * 64])
    def test_any_other_content_is_refused(self, bundle: Path, content: bytes) -> None:
        (bundle / WEIGHTS).write_bytes(content)
        refresh_manifest(bundle)
        assert fault_of(bundle, WEIGHTS).startswith("not a safetensors file")

    def test_a_truncated_file_with_a_manifest_to_match_is_refused(self, bundle: Path) -> None:
        data = (bundle / WEIGHTS).read_bytes()
        (bundle / WEIGHTS).write_bytes(data[:-4])
        refresh_manifest(bundle)
        assert fault_of(bundle, WEIGHTS).startswith("not a safetensors file")


class _Bomb:
    """Unpickling it fails the test."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return pytest.fail, ("the pickle was loaded",)
