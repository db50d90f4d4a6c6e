"""A bundle comes back as it was saved; a save that fails changes nothing."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import model.checkpoint
from model.checkpoint import (
    BundleError,
    list_bundles,
    load_bundle,
    load_bundle_head,
    save_bundle,
    verify_bundle,
)
from model.decoding.options import DecodingOptions
from model.manifest import MANIFEST_FILE
from tests.builders import tiny_bundle, tiny_info, tiny_model, tiny_tokenizer
from tests.model.bundle_faults import (
    WEIGHTS,
    contents,
    full_vocabulary,
    same_weights,
    save,
)

VARIANTS: dict[str, dict[str, Any]] = {
    "untied": {},
    "tied": {"tie_output": True},
    "separate-tied": {"share_embeddings": False, "tie_output": True},
    "pre-norm-learned": {
        "norm": "pre",
        "final_norm": True,
        "embedding_norm": True,
        "positions": "learned",
        "output_bias": True,
    },
}


class TestRoundTrip:
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_float32_comes_back_bit_for_bit(self, tmp_path: Path, variant: str) -> None:
        network = full_vocabulary(seed=3, **VARIANTS[variant])
        save(tmp_path / "b", network)
        loaded = load_bundle(tmp_path / "b").model
        assert same_weights(loaded, network)
        assert loaded.config == network.config
        assert not loaded.training

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_loaded_network_computes_the_same(self, tmp_path: Path, variant: str) -> None:
        network = full_vocabulary(seed=3, **VARIANTS[variant])
        save(tmp_path / "b", network)
        source, target = torch.tensor([[5, 9, 7, 3]]), torch.tensor([[2, 6, 8]])
        mask = torch.ones_like(source, dtype=torch.bool)
        loaded = load_bundle(tmp_path / "b").model
        assert torch.equal(loaded(source, mask, target), network(source, mask, target))

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_shared_tensors_are_stored_once_and_shared_again(self, tmp_path: Path, variant: str) -> None:
        network = full_vocabulary(**VARIANTS[variant])
        save(tmp_path / "b", network)
        with safe_open(tmp_path / "b" / WEIGHTS, framework="pt") as file:
            stored = set(file.keys())
        parameters = dict(network.named_parameters())
        assert stored == set(parameters)
        assert set(dict(load_bundle(tmp_path / "b").model.named_parameters())) == stored

    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2**-11), (torch.bfloat16, 2**-8)])
    def test_sixteen_bits_come_back_within_rounding(
        self, tmp_path: Path, dtype: torch.dtype, tolerance: float
    ) -> None:
        network = full_vocabulary()
        save(tmp_path / "b", network, dtype=dtype)
        loaded = load_bundle(tmp_path / "b").model.state_dict()
        for name, tensor in network.state_dict().items():
            assert loaded[name].dtype == torch.float32
            assert ((loaded[name] - tensor).abs() <= tolerance * tensor.abs() + 1e-7).all()

    def test_weights_are_sixteen_bits_on_disk_unless_asked_otherwise(self, tmp_path: Path) -> None:
        save_bundle(
            tmp_path / "b",
            model=full_vocabulary(),
            tokenizer=tiny_tokenizer(),
            info=tiny_info(),
            model_card="card",
        )
        with safe_open(tmp_path / "b" / WEIGHTS, framework="pt") as file:
            assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_weights_have_the_type_in_memory_that_was_asked_for(
        self, saved: Path, dtype: torch.dtype
    ) -> None:
        network = load_bundle(saved, dtype=dtype).model
        assert {tensor.dtype for tensor in network.state_dict().values()} == {dtype}

    def test_what_the_bundle_says_of_itself_comes_back(self, tmp_path: Path) -> None:
        decoding = DecodingOptions(beam_size=2, length_penalty=0.6, max_length_ratio=2.5)
        info = tiny_info(name="en-fr_x", directions=(("en", "fr"), ("fr", "pt-BR")), decoding=decoding)
        save(tmp_path / "b", info=info)
        assert load_bundle(tmp_path / "b").info == info

    def test_separate_vocabularies_come_back(self, tmp_path: Path) -> None:
        bundle = tiny_bundle(tmp_path / "b", joint=False, share_embeddings=False)
        assert bundle.tokenizer.files() == tiny_tokenizer(joint=False).files()
        assert set(verify_bundle(tmp_path / "b")) >= {"source.model", "target.model"}

    def test_extra_files_are_kept_and_listed(self, tmp_path: Path) -> None:
        save(tmp_path / "b", extra_files={"curves.png": b"\x89PNG", "notes/run.txt": b"ok"})
        assert (tmp_path / "b" / "notes" / "run.txt").read_bytes() == b"ok"
        assert set(verify_bundle(tmp_path / "b")) >= {"curves.png", "notes/run.txt"}
        load_bundle(tmp_path / "b")

    def test_the_same_arguments_give_the_same_bytes(self, tmp_path: Path, saved: Path) -> None:
        tiny_bundle(tmp_path / "b")
        assert contents(tmp_path / "b") == contents(saved)
        assert load_bundle(tmp_path / "b").manifest_digest == load_bundle(saved).manifest_digest

    def test_the_digest_changes_with_the_content(self, tmp_path: Path, saved: Path) -> None:
        assert tiny_bundle(tmp_path / "b", seed=1).manifest_digest != load_bundle(saved).manifest_digest

    def test_loading_leaves_the_random_state_alone(self, tmp_path: Path) -> None:
        save(tmp_path / "b", full_vocabulary(positions="learned"))
        before = torch.get_rng_state()
        load_bundle(tmp_path / "b")
        assert torch.equal(torch.get_rng_state(), before)

    def test_every_file_is_as_readable_as_the_folder(self, saved: Path) -> None:
        modes = {path.stat().st_mode & 0o777 for path in saved.iterdir()}
        assert modes == {saved.stat().st_mode & 0o666}

    def test_a_type_that_weights_cannot_have_is_refused(self, saved: Path, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"dtype must be float16, bfloat16 or float32, got torch\.int8"):
            save(tmp_path / "b", dtype=torch.int8)
        with pytest.raises(ValueError, match=r"dtype must be a floating-point type, got torch\.int8"):
            load_bundle(saved, dtype=torch.int8)


class TestSaving:
    def test_a_bundle_is_replaced_as_a_whole(self, bundle: Path) -> None:
        (bundle / "left over.txt").touch()
        save(bundle, full_vocabulary(seed=7), extra_files={"new.txt": b"new"})
        assert same_weights(load_bundle(bundle).model, full_vocabulary(seed=7))
        assert not (bundle / "left over.txt").exists()
        assert [path.name for path in bundle.parent.iterdir()] == ["tiny"]

    @pytest.mark.parametrize("failing", ["write_weights", "write_bytes", "write_manifest"])
    @pytest.mark.parametrize(
        "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
    )
    def test_a_failed_save_leaves_what_was_there(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
    ) -> None:
        before = contents(bundle)
        working = getattr(model.checkpoint, failing)

        def fails_after_writing(*arguments: Any) -> None:
            working(*arguments)
            raise error

        monkeypatch.setattr(model.checkpoint, failing, fails_after_writing)
        with pytest.raises((BundleError, KeyboardInterrupt)) as caught:
            save(bundle, full_vocabulary(seed=7))
        if isinstance(error, OSError):
            assert str(caught.value) == f"{bundle}: could not be written: No space left on device"
        assert contents(bundle) == before
        assert [path.name for path in bundle.parent.iterdir()] == ["tiny"]

    @pytest.mark.parametrize("failing_rename", [1, 2])
    def test_a_rename_that_fails_leaves_what_was_there(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch, failing_rename: int
    ) -> None:
        before, rename, count = contents(bundle), Path.rename, 0

        def renames_but_one(path: Path, target: Path) -> Path:
            nonlocal count
            count += 1
            if count == failing_rename:
                raise OSError(errno.EBUSY, "Device or resource busy")
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", renames_but_one)
        with pytest.raises(BundleError, match="Device or resource busy"):
            save(bundle, full_vocabulary(seed=7))
        assert contents(bundle) == before
        assert [path.name for path in bundle.parent.iterdir()] == ["tiny"]

    def test_a_first_save_that_fails_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*arguments: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(model.checkpoint, "write_manifest", fails)
        with pytest.raises(BundleError):
            save(tmp_path / "b")
        assert list(tmp_path.iterdir()) == []

    def test_a_link_to_a_bundle_stays_a_link(self, bundle: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(bundle)
        save(tmp_path / "link", full_vocabulary(seed=7))
        assert (tmp_path / "link").is_symlink()
        assert same_weights(load_bundle(bundle).model, full_vocabulary(seed=7))

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()
        save(tmp_path / "b")
        load_bundle(tmp_path / "b")

    def test_parents_are_made(self, tmp_path: Path) -> None:
        save(tmp_path / "a" / "b")
        load_bundle(tmp_path / "a" / "b")

    def test_a_folder_that_is_no_bundle_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").touch()
        with pytest.raises(BundleError, match="exists and is not a bundle; not replaced"):
            save(tmp_path)
        with pytest.raises(BundleError, match="exists and is not a folder; not replaced"):
            save(tmp_path / "thesis.txt")
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    @pytest.mark.parametrize(
        "files",
        [
            {"config.json": '{"model_type": "marian"}', "pytorch_model.bin": "weights"},
            {"manifest.json": '{"name": "an application"}'},
            {"config.json": "cut off {"},
        ],
    )
    def test_nor_is_the_folder_of_another_program(self, tmp_path: Path, files: dict[str, str]) -> None:
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        with pytest.raises(BundleError, match="exists and is not a bundle; not replaced"):
            save(tmp_path)
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files

    @pytest.mark.parametrize("name", ["config.json", MANIFEST_FILE])
    def test_half_a_bundle_is_replaced_by_a_whole_one(self, saved: Path, name: str) -> None:
        (saved / name).unlink()
        save(saved)
        load_bundle(saved)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_not_finite_are_not_saved(self, tmp_path: Path, value: float) -> None:
        network = full_vocabulary()
        with torch.no_grad():
            network.output.weight[0, 0] = value
        with pytest.raises(BundleError, match=r"tensor output\.weight has values that are not finite"):
            save(tmp_path / "b", network)
        assert list(tmp_path.iterdir()) == []

    def test_weights_too_large_for_their_type_are_not_saved(self, tmp_path: Path) -> None:
        network = full_vocabulary()
        with torch.no_grad():
            network.output.weight[0, 0] = 70_000.0
        with pytest.raises(BundleError, match=r"output\.weight has values too large for torch\.float16"):
            save(tmp_path / "b", network, dtype=torch.float16)
        save(tmp_path / "b", network, dtype=torch.bfloat16)

    def test_a_tokenizer_of_another_vocabulary_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="source_vocab_size is 24, but the tokenizer says 480"):
            save(tmp_path / "b", tiny_model())

    @pytest.mark.parametrize(
        "name", ["config.json", "manifest.json", WEIGHTS, "tokenizer.model", "../x", "/x"]
    )
    def test_an_extra_file_cannot_take_the_name_of_a_part(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BundleError, match=name):
            save(tmp_path / "b", extra_files={name: b""})


class TestListing:
    def test_bundles_are_listed_by_name(self, bundle: Path) -> None:
        root = bundle.parent
        shutil.copytree(bundle, root / "another")
        shutil.copytree(bundle, root / ".tiny.1234.replaced")
        (root / "notes").mkdir()
        (root / "file.txt").touch()
        assert list_bundles(root) == [root / "another", root / "tiny"]

    def test_a_bundle_lists_itself(self, saved: Path) -> None:
        assert list_bundles(saved) == [saved]

    def test_a_broken_bundle_is_listed_so_that_loading_can_say_why(self, bundle: Path) -> None:
        (bundle / MANIFEST_FILE).unlink()
        assert list_bundles(bundle.parent) == [bundle]

    def test_no_folder_has_no_bundles(self, tmp_path: Path) -> None:
        assert list_bundles(tmp_path / "none") == []


class TestHead:
    def test_it_is_the_bundle_without_its_weights(self, tmp_path: Path) -> None:
        bundle = tiny_bundle(tmp_path / "b", info=tiny_info(name="named"))
        head = load_bundle_head(tmp_path / "b")
        assert (head.path, head.info, head.config) == (bundle.path, bundle.info, bundle.config)
        assert head.manifest_digest == bundle.manifest_digest
        assert head.tokenizer.files() == bundle.tokenizer.files()

    def test_the_weights_are_not_looked_at(self, tmp_path: Path) -> None:
        tiny_bundle(tmp_path / "b")
        (tmp_path / "b" / WEIGHTS).unlink()
        load_bundle_head(tmp_path / "b")

    @pytest.mark.parametrize("name", ["config.json", "tokenizer.model"])
    def test_what_is_looked_at_is_compared_with_the_manifest(self, tmp_path: Path, name: str) -> None:
        tiny_bundle(tmp_path / "b")
        (tmp_path / "b" / name).write_bytes(b"{}")
        with pytest.raises(BundleError, match="bytes where manifest") as caught:
            load_bundle_head(tmp_path / "b")
        assert caught.value.path == tmp_path / "b" / name
