"""The numbers in weight files, counted by the files' heads."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.manifest import BundleError
from model.stored_sizes import num_stored_weights


def test_all_tensors_of_all_files_are_counted_whatever_their_type(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5, dtype=torch.bfloat16)}, tmp_path / "1.safetensors")
    save_file({"c": torch.zeros(())}, tmp_path / "2.safetensors", metadata={"format": "pt"})
    (tmp_path / "other.txt").write_text("not looked at")
    assert num_stored_weights(tmp_path) == 3 * 4 + 5 + 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x05\0\0\0\0\0\0\0{",
        b"\x02\0\0\0\0\0\0\0[]",
        b"\xff" * 8,
        b'\x0d\0\0\0\0\0\0\0{"a":{"b":1}}',
        b'\x0b\0\0\0\0\0\0\0{"a":[1,2]}',
        b'\x1b\0\0\0\0\0\0\0{"a":{"shape":["x","y"]}}  ',
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.safetensors: not a safetensors file"):
        num_stored_weights(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(BundleError, match=r"model\.safetensors: Is a directory"):
        num_stored_weights(tmp_path)
