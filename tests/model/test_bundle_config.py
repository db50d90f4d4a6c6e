"""A config.json that cannot be used: the error names the key, its bound and its value."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.model.bundle_faults import (
    edit_config,
    fault_of,
    refresh_manifest,
)


class TestConfig:
    @pytest.mark.parametrize("version", [0, 3, "1", 1.0, True, None])
    def test_an_unknown_format_version_is_refused_before_all_else(
        self, bundle: Path, version: object
    ) -> None:
        edit_config(bundle, lambda config: config.update(format_version=version, new_key=1))
        fault = fault_of(bundle, "config.json")
        assert fault == f"format_version {version!r} is not supported; this version of Verto reads 1 and 2"

    @pytest.mark.parametrize("signal", ["forced_first_token", None])
    def test_another_target_signal_is_refused(self, bundle: Path, signal: object) -> None:
        edit_config(bundle, lambda config: config.update(target_signal=signal))
        fault = fault_of(bundle, "config.json")
        assert fault == f"target_signal must be one of none, source_tag, forced_token, got {signal!r}"

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"target_signal": "source_tag"}, "language_tokens must be given for 'de', got []"),
            (
                {"source_signal": "prefix", "language_tokens": {"de": 5}},
                "language_tokens must be given for 'en'",
            ),
            ({"source_signal": "around"}, "source_signal must be one of none, prefix, suffix"),
            ({"language_tokens": {"de": 5}}, "language_tokens must be left out where neither"),
            (
                {"target_signal": "forced_token", "language_tokens": []},
                "language_tokens must be a JSON object",
            ),
            (
                {"target_signal": "forced_token", "language_tokens": {"de": 480}},
                "language_tokens must be token ids",
            ),
            (
                {"target_signal": "forced_token", "language_tokens": {"de": -1}},
                "language_tokens must be language",
            ),
            (
                {"target_signal": "forced_token", "language_tokens": {"de": True}},
                "language_tokens must be language",
            ),
            ({"directions": {"sources": ["en"]}}, "directions must be pairs, or"),
            ({"directions": {"sources": ["en"], "targets": [5]}}, "directions must be pairs, or"),
            ({"directions": {"sources": ["en"], "targets": []}}, "directions.targets must be"),
            ({"directions": {"sources": ["en", "en"], "targets": ["de"]}}, "directions.sources must be"),
            ({"directions": {"sources": ["en"], "targets": ["en"]}}, "directions.targets must be another"),
        ],
    )
    def test_bad_signals_and_products_are_named(
        self, bundle: Path, changes: dict[str, object], named: str
    ) -> None:
        edit_config(bundle, lambda config: config.update(changes))
        assert fault_of(bundle, "config.json").startswith(named)

    @pytest.mark.parametrize("key", ["name", "version", "directions", "target_signal", "decoding", "model"])
    def test_a_missing_key_is_named(self, bundle: Path, key: str) -> None:
        edit_config(bundle, lambda config: config.pop(key))
        assert fault_of(bundle, "config.json") == f"{key} is missing"

    def test_an_unknown_key_is_named(self, bundle: Path) -> None:
        edit_config(bundle, lambda config: config.update(colour="red"))
        assert "unknown key 'colour'" in fault_of(bundle, "config.json")

    @pytest.mark.parametrize(
        ("key", "value", "named"),
        [
            ("name", "a b", "name must be"),
            ("name", "../x", "name must be"),
            ("name", 3, "name must be"),
            ("version", "", "version must be"),
            ("directions", [], "directions must be"),
            ("directions", "en-de", "directions must be"),
            ("directions", [["en"]], "directions must be"),
            ("directions", [["en", 5]], "directions must be"),
            ("directions", [["en", "d e"]], "directions must be"),
            ("directions", [["en", "de"], ["en", "de"]], "directions must be"),
            ("decoding", {"beam_size": 0}, "beam_size must be"),
            ("decoding", {"beams": 4}, "beams must be"),
            ("decoding", [], "decoding must be"),
            ("model", {"source_vocab_size": 480}, "target_vocab_size must be"),
            ("model", None, "model must be"),
        ],
    )
    def test_a_bad_value_is_named(self, bundle: Path, key: str, value: object, named: str) -> None:
        edit_config(bundle, lambda config: config.update({key: value}))
        assert fault_of(bundle, "config.json").startswith(named)

    def test_an_unknown_field_of_the_architecture_is_named(self, bundle: Path) -> None:
        edit_config(bundle, lambda config: config["model"].update(num_wheels=4))
        assert fault_of(bundle, "config.json").startswith("num_wheels must be")

    @pytest.mark.parametrize("field", ["d_model", "num_encoder_layers", "decoder_ffn_dim"])
    def test_a_size_that_the_weights_cannot_have_is_told_before_memory_is_taken(
        self, bundle: Path, field: str
    ) -> None:
        edit_config(bundle, lambda config: config["model"].update({field: 10**12}))
        fault = fault_of(bundle, "config.json")
        assert re.fullmatch(r"describes at least [\d,]+ weights; the files have [\d,]+ bytes", fault)

    @pytest.mark.parametrize("field", ["source_vocab_size", "target_vocab_size", "pad_id", "eos_id"])
    def test_what_the_tokenizer_contradicts_is_named(self, bundle: Path, field: str) -> None:
        changes = {"share_embeddings": False, field: 479}
        edit_config(bundle, lambda config: config["model"].update(changes))
        assert fault_of(bundle, "config.json").startswith(f"{field} is 479, but the tokenizer says ")

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
    def test_a_config_that_is_no_json_object_is_refused(self, bundle: Path, content: bytes) -> None:
        (bundle / "config.json").write_bytes(content)
        refresh_manifest(bundle)
        assert fault_of(bundle, "config.json")


class TestTokenizerFiles:
    def test_a_tokenizer_that_is_none_is_named(self, bundle: Path) -> None:
        (bundle / "tokenizer.model").write_bytes(b"garbage")
        refresh_manifest(bundle)
        assert "not a SentencePiece model" in fault_of(bundle, "tokenizer.model")

    def test_two_kinds_of_tokenizer_are_refused(self, bundle: Path) -> None:
        shutil.copy(bundle / "tokenizer.model", bundle / "source.model")
        refresh_manifest(bundle)
        assert (
            fault_of(bundle, "source.model") == "stands beside tokenizer.model; a bundle has one or the other"
        )

    def test_half_of_a_pair_is_refused(self, bundle: Path) -> None:
        (bundle / "tokenizer.model").rename(bundle / "target.model")
        refresh_manifest(bundle)
        assert "not listed" in fault_of(bundle, "source.model")
