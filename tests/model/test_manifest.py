"""A folder that is not what its manifest says: the error names the file and the fault."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from model.checkpoint import load_bundle
from model.manifest import MANIFEST_FILE
from tests.model.bundle_faults import (
    WEIGHTS,
    edit_json,
    fault_of,
)


class TestManifest:
    @pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.model", "MODEL_CARD.md"])
    def test_a_truncated_file_is_named(self, bundle: Path, name: str) -> None:
        data = (bundle / name).read_bytes()
        (bundle / name).write_bytes(data[:-1])
        assert fault_of(bundle, name) == f"has {len(data) - 1} bytes where manifest.json says {len(data)}"

    @pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.model", "MODEL_CARD.md"])
    def test_a_flipped_bit_is_named(self, bundle: Path, name: str) -> None:
        data = bytearray((bundle / name).read_bytes())
        data[len(data) // 2] ^= 1
        (bundle / name).write_bytes(data)
        assert "SHA-256" in fault_of(bundle, name)

    @pytest.mark.parametrize(
        "name", [WEIGHTS, "config.json", "tokenizer.model", "MODEL_CARD.md", "manifest.json"]
    )
    def test_a_missing_file_is_named(self, bundle: Path, name: str) -> None:
        (bundle / name).unlink()
        assert fault_of(bundle, name) == "missing"

    @pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.model", "MODEL_CARD.md"])
    def test_a_file_that_is_not_listed_is_named(self, bundle: Path, name: str) -> None:
        edit_json(bundle / MANIFEST_FILE, lambda manifest: manifest["files"].pop(name))
        assert fault_of(bundle, name) == "not listed in manifest.json; every bundle has one"

    def test_a_folder_in_the_place_of_a_file_is_named(self, bundle: Path) -> None:
        (bundle / WEIGHTS).unlink()
        (bundle / WEIGHTS).mkdir()
        assert fault_of(bundle, WEIGHTS) == "not a file"

    def test_files_that_nobody_listed_are_left_alone(self, bundle: Path) -> None:
        (bundle / ".gitattributes").write_text("* -text")
        (bundle / "weights.pkl").write_bytes(pickle.dumps("never opened"))
        load_bundle(bundle)

    @pytest.mark.parametrize(
        "name", ["../x", "/etc/passwd", "a/../../x", "a\\b", "C:x", "", ".", "a//b", "./a", "\0"]
    )
    def test_a_name_outside_the_folder_is_refused(self, bundle: Path, name: str) -> None:
        entry = {"size": 0, "sha256": "0" * 64}
        edit_json(bundle / MANIFEST_FILE, lambda manifest: manifest["files"].update({name: entry}))
        assert repr(name) in fault_of(bundle, MANIFEST_FILE)

    @pytest.mark.parametrize(
        "entry",
        [
            None,
            {},
            {"size": 1},
            {"size": -1, "sha256": "0" * 64},
            {"size": True, "sha256": "0" * 64},
            {"size": 1, "sha256": "0" * 63},
            {"size": 1, "sha256": "G" * 64},
            {"size": 1, "sha256": "0" * 64, "extra": 1},
        ],
        ids=str,
    )
    def test_an_entry_that_is_none_is_refused(self, bundle: Path, entry: object) -> None:
        edit_json(bundle / MANIFEST_FILE, lambda manifest: manifest["files"].update({"config.json": entry}))
        assert fault_of(bundle, MANIFEST_FILE).startswith("config.json: ")

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"files": []}', b"[" * 100_000])
    def test_a_manifest_that_is_none_is_refused(self, bundle: Path, content: bytes) -> None:
        (bundle / MANIFEST_FILE).write_bytes(content)
        assert fault_of(bundle, MANIFEST_FILE)

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        assert fault_of(tmp_path / "none", None) == "no such folder"

    def test_a_file_in_the_place_of_the_folder_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert fault_of(tmp_path / "file", None) == "not a folder"
