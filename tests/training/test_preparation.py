"""From files to ids: repeats, held-out texts, the tokenizer of a run, and faults before the first step."""

from pathlib import Path
from typing import Any

import pytest

from tests.builders import tiny_sentences
from tests.training.runs import ListeningMonitor, config
from training.config import TrainingConfig
from training.corpus import Pair
from training.errors import CorpusError, RecipeError
from training.preparation import PreparedData, prepare


def write_tsv(path: Path, pairs: list[Pair]) -> None:
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in pairs), encoding="utf-8")


def some_pairs(count: int, seed: int = 0) -> list[Pair]:
    return [Pair(text, text.upper()) for text in tiny_sentences(count, seed)]


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_tsv(folder / "train.tsv", some_pairs(120))
    write_tsv(folder / "more.tsv", some_pairs(30, seed=1))
    write_tsv(folder / "dev.tsv", some_pairs(8, seed=2))
    write_tsv(folder / "test.tsv", some_pairs(7, seed=3))
    return folder


def prepared(settings: TrainingConfig, data_folder: Path, lines: list[str] | None = None) -> PreparedData:
    monitor = ListeningMonitor()
    if lines is not None:
        monitor.lines = lines
    return prepare(settings, data_folder, data_folder.parent / "run", monitor)


def test_each_corpus_is_read_as_often_as_it_says(data_folder: Path) -> None:
    corpora = [{"tsv": "train.tsv"}, {"tsv": "more.tsv", "repeat": 3}]
    lines: list[str] = []
    data = prepared(config(data={"train": corpora}), data_folder, lines)
    assert len(data.train) == 120 + 3 * 30
    assert data.cleaning == lines[0] == "150 pairs read, 150 kept"
    assert any(line.startswith("training: 210 of 210 pairs fit 64 tokens, ") for line in lines)
    decoded = data.tokenizer.decode_target([int(i) for i in data.train.target[0]])
    assert decoded == some_pairs(1)[0].target


def test_held_out_texts_are_read_as_they_stand(data_folder: Path) -> None:
    untidy = [Pair(" a  b ", "c  d"), Pair("a b", "c d"), *some_pairs(3, seed=2)]
    write_tsv(data_folder / "dev.tsv", untidy)
    data = prepared(config(test=[{"tsv": "test.tsv", "name": "books"}]), data_folder)
    assert list(data.dev[0].text.pairs) == untidy
    assert [test.name for test in data.tests] == ["books"]
    assert list(data.tests[0].pairs) == some_pairs(7, seed=3)


def test_what_the_dev_text_is_is_known_by_its_file(data_folder: Path) -> None:
    first, same = (prepared(config(), data_folder).dev_sha256 for _ in range(2))
    write_tsv(data_folder / "dev.tsv", some_pairs(8, seed=5))
    other = prepared(config(), data_folder).dev_sha256
    assert set(first) == set(other) == {"dev.tsv"}
    assert first == same != other


def test_a_source_that_the_network_cannot_read_is_counted_and_not_scored(data_folder: Path) -> None:
    long = Pair("ba de fi go " * 30, "x")
    write_tsv(data_folder / "dev.tsv", [*some_pairs(5, seed=2), long])
    lines: list[str] = []
    data = prepared(config(), data_folder, lines)
    assert list(data.dev[0].text.pairs) == some_pairs(5, seed=2)
    assert "dev: 1 of 6 sources have more than 64 tokens and are not scored" in lines


def test_longer_pairs_than_asked_for_are_left_out_of_the_batches(data_folder: Path) -> None:
    lines: list[str] = []
    data = prepared(config(data={"max_tokens": 24}), data_folder, lines)
    longest = max(data.train.source.lengths.max(), data.train.target.lengths.max())
    assert 0 < len(data.train) < 120
    assert longest <= 24
    assert any(line.startswith(f"training: {len(data.train)} of 120 pairs fit 24 tokens") for line in lines)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"data": {"train": [{"tsv": "nowhere.tsv"}]}}, r"nowhere\.tsv: No such file"),
        ({"data": {"dev": [{"tsv": "nowhere.tsv"}]}}, r"nowhere\.tsv: No such file"),
        ({"test": [{"tsv": "nowhere.tsv", "name": "t"}]}, r"nowhere\.tsv: No such file"),
        ({"test": [{"tsv": "empty.tsv", "name": "books"}]}, "books: holds no pair"),
        ({"data": {"dev": [{"tsv": "empty.tsv"}]}}, "dev: holds no pair"),
        ({"data": {"train": [{"tsv": "empty.tsv"}]}}, r"no training pair is left after cleaning \(0 pairs"),
        ({"data": {"max_tokens": 4}}, r"every pair is longer than data\.max_tokens \(4\)"),
    ],
)
def test_a_fault_of_the_data_is_found_before_the_first_step(
    data_folder: Path, changes: dict[str, Any], fault: str
) -> None:
    (data_folder / "empty.tsv").touch()
    with pytest.raises(CorpusError, match=fault):
        prepared(config(**changes), data_folder)


def test_a_vocabulary_that_the_text_does_not_support_names_setting_and_bound(data_folder: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"tokenizer\.vocab_size: must be at most \d+ .*, got 50000"
    ) as caught:
        prepared(config(tokenizer={"kind": "unigram", "vocab_size": 50_000}), data_folder)
    assert "\n" not in str(caught.value)
    assert not (data_folder.parent / "run" / "tokenizer").exists()


@pytest.mark.parametrize(
    ("decoding", "fault"),
    [
        (
            {"prefix_ids": [400]},
            r"decoding\.prefix_ids must be of token ids in 0\.\.399, got 400; put in ids",
        ),
        (
            {"banned_ids": [[5], [6, 9000]]},
            r"decoding\.banned_ids must be of token ids in 0\.\.399, got 9000",
        ),
        (
            {"strategy": "beam", "required_ids": [[3]]},
            r"decoding\.required_ids must be free of padding, start and end tokens, got 3",
        ),
    ],
)
def test_token_ids_that_the_vocabulary_lacks_are_told_before_the_first_step(
    data_folder: Path, decoding: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RecipeError, match=fault):
        prepared(config(decoding=decoding), data_folder)


def test_without_a_saved_state_the_tokenizer_is_learned_anew(data_folder: Path) -> None:
    joint = prepared(config(), data_folder)
    separate = prepared(config(tokenizer={"joint": False}), data_folder)
    assert set(joint.tokenizer.files()) == {"tokenizer.model"}
    assert set(separate.tokenizer.files()) == {"source.model", "target.model"}
    stored = {path.name for path in (data_folder.parent / "run" / "tokenizer").iterdir()}
    assert stored == {"source.model", "target.model"}
    assert not separate.network.share_embeddings


def test_the_network_takes_sizes_and_ids_from_the_tokenizer(data_folder: Path) -> None:
    data = prepared(config(), data_folder)
    network, tokenizer = data.network, data.tokenizer
    assert network.source_vocab_size == network.target_vocab_size == tokenizer.source_vocab_size == 400
    assert (network.pad_id, network.eos_id, network.decoder_start_id) == (0, 3, 2)
    assert network.d_model == 16


def test_generated_data_needs_no_data_folder(tmp_path: Path) -> None:
    generate = {"kind": "digit-reversal", "train_pairs": 200, "held_out_pairs": 20}
    data = prepare(config(generate=generate), tmp_path / "nowhere", tmp_path / "run", ListeningMonitor())
    assert len(data.dev[0].text.pairs) == 20
    assert (tmp_path / "run" / "generated" / "test.tsv").is_file()
