"""Prepared pairs: made once, then only opened; a change of recipe or file is noticed; nothing half made."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import tiny_sentences
from tests.training.runs import ListeningMonitor, config
from training.augmentation import Augmenter
from training.batching import EncodedCorpus
from training.config import TrainingConfig
from training.corpus import Pair
from training.encoding import encode_pairs
from training.epoch_plan import plan_epoch
from training.errors import CorpusError, ResumeError
from training.state import STATE_FILE
from training.training_pairs import training_pairs

SOME, MORE = 90, 30


def write_tsv(path: Path, count: int, seed: int = 0) -> None:
    path.write_text(
        "".join(f"{text}.\t{text.upper()}.\n" for text in tiny_sentences(count, seed)), encoding="utf-8"
    )


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_tsv(folder / "train.tsv", SOME)
    write_tsv(folder / "more.tsv", MORE, seed=1)
    return folder


def recipe(**data: Any) -> TrainingConfig:
    corpora = [{"tsv": "train.tsv"}, {"tsv": "more.tsv", "repeat": 3}]
    return config(data={"train": corpora, **data})


class Prepared:
    """One call of `training_pairs`, and what it said."""

    def __init__(self, data_folder: Path, settings: TrainingConfig | None = None) -> None:
        self.run, monitor = data_folder.parent / "run", ListeningMonitor()
        found = training_pairs(settings or recipe(), data_folder, self.run, monitor)
        self.tokenizer, self.corpus, self.cleaning = found
        self.lines = monitor.lines

    @property
    def was_made(self) -> bool:
        return not any("lie prepared" in line for line in self.lines)


def lists(corpus: EncodedCorpus) -> list[tuple[list[int], list[int]]]:
    sides = (corpus.source, corpus.target)
    return [tuple(side[i].tolist() for side in sides) for i in range(len(corpus))]  # type: ignore[misc]


def test_prepared_pairs_are_the_text_encoded(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few pairs are in memory at a time: the same as all at once."""
    monkeypatch.setattr("training.pair_text.CHUNK_PAIRS", 7)
    found = Prepared(data_folder)
    some, more = list(tiny_sentences(SOME, 0)), list(tiny_sentences(MORE, 1))
    pairs = [Pair(f"{text}.", f"{text.upper()}.") for text in [*some, *more, *more, *more]]
    assert lists(found.corpus) == lists(encode_pairs(found.tokenizer, pairs, 64))
    assert found.corpus.source.values.dtype == np.uint16
    assert found.cleaning == "120 pairs read, 120 kept"


def test_each_copy_of_a_pair_is_varied_with_its_own_draw(data_folder: Path) -> None:
    augmentation = {"lower_case": 0.2, "upper_case": 0.3, "no_final_stop": 0.5}
    settings = recipe(augmentation=augmentation)
    found = Prepared(data_folder, settings)
    augmenter = Augmenter(settings.data.augmentation, (), settings.seed)
    some, more = list(tiny_sentences(SOME, 0)), list(tiny_sentences(MORE, 1))
    pairs = [Pair(f"{text}.", f"{text.upper()}.") for text in [*some, *more, *more, *more]]
    varied = [augmenter.vary(pair) for pair in pairs]
    assert lists(found.corpus) == lists(encode_pairs(found.tokenizer, varied, 64))
    assert len({found.tokenizer.decode_target(one) for _, one in lists(found.corpus)[SOME::MORE]}) > 1
    assert "varied:" in found.cleaning


def test_a_tag_is_one_piece_before_every_source_of_its_file_and_nothing_varies_it(data_folder: Path) -> None:
    tagged = {"tsv": "more.tsv", "repeat": 2, "tag": "<BT>"}
    settings = recipe(train=[{"tsv": "train.tsv"}, tagged], augmentation={"lower_case": 0.5})
    found = Prepared(data_folder, settings)
    pieces = [found.tokenizer.source_pieces(source) for source, _ in lists(found.corpus)]
    assert [one.count("<BT>") for one in pieces] == [0] * SOME + [1] * 2 * MORE
    assert {tuple(one[:2]) for one in pieces[SOME:]} == {("▁", "<BT>")}


def test_a_second_call_only_opens_what_the_first_one_made(data_folder: Path) -> None:
    first, second = Prepared(data_folder), Prepared(data_folder)
    assert first.was_made
    assert not second.was_made
    assert lists(first.corpus) == lists(second.corpus)
    assert first.cleaning == second.cleaning
    assert first.tokenizer.files() == second.tokenizer.files()


def test_nothing_but_the_prepared_folder_and_the_tokenizer_is_left(data_folder: Path) -> None:
    run = Prepared(data_folder).run
    assert {path.name for path in run.iterdir()} == {"prepared", "tokenizer"}
    assert {path.name for path in (run / "prepared").iterdir()} == {
        "index.json", "source.values", "source.offsets", "target.values", "target.offsets",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"max_characters": 30},
        {"max_tokens": 30},
        {"drop_duplicates": False},
        {"train": [{"tsv": "train.tsv"}]},
        {"scripts": ["Latin", "Latin"]},
        {"augmentation": {"lower_case": 0.1}},
        {"subword_sampling": {"alpha": 0.1}},
    ],
)
def test_a_changed_setting_is_noticed(data_folder: Path, change: dict[str, Any]) -> None:
    Prepared(data_folder)
    assert Prepared(data_folder, recipe(**change)).was_made
    assert not Prepared(data_folder, recipe(**change)).was_made


@pytest.mark.parametrize("change", [{"temperature": 5.0}, {"dev": [{"tsv": "other.tsv"}]}])
def test_what_only_decides_how_pairs_are_used_changes_nothing(
    data_folder: Path, change: dict[str, Any]
) -> None:
    Prepared(data_folder)
    assert not Prepared(data_folder, recipe(**change)).was_made


def test_the_seed_matters_where_pairs_are_varied(data_folder: Path) -> None:
    varied = {"data": {"train": [{"tsv": "train.tsv"}], "augmentation": {"lower_case": 0.5}}}
    for sections, matters in ((varied, True), ({"data": {"train": [{"tsv": "train.tsv"}]}}, False)):
        Prepared(data_folder, config(**sections))
        assert Prepared(data_folder, config(**sections, seed=2)).was_made == matters


def test_a_changed_file_is_noticed(data_folder: Path) -> None:
    first = Prepared(data_folder)
    write_tsv(data_folder / "more.tsv", MORE, seed=5)
    second = Prepared(data_folder)
    assert second.lines[0] == "pairs are prepared anew: more.tsv has another content"
    assert lists(first.corpus) != lists(second.corpus)


def test_a_begun_run_does_not_go_on_with_another_file(data_folder: Path) -> None:
    run = Prepared(data_folder).run
    (run / STATE_FILE).touch()
    write_tsv(data_folder / "more.tsv", MORE, seed=5)
    with pytest.raises(ResumeError, match=r"cannot go on with other data \(more\.tsv has another content\)"):
        Prepared(data_folder)
    write_tsv(data_folder / "more.tsv", MORE, seed=1)
    assert not Prepared(data_folder).was_made


def test_a_begun_run_names_the_setting_that_changed(data_folder: Path) -> None:
    (Prepared(data_folder).run / STATE_FILE).touch()
    with pytest.raises(ResumeError, match=r"data\.max_characters was its default, is 90"):
        Prepared(data_folder, recipe(max_characters=90))


def test_the_files_may_be_gone_once_they_are_prepared(data_folder: Path) -> None:
    Prepared(data_folder)
    shutil.rmtree(data_folder)
    assert not Prepared(data_folder).was_made


def test_prepared_pairs_that_were_deleted_are_made_again_with_the_tokenizer_of_the_run(
    data_folder: Path,
) -> None:
    first = Prepared(data_folder)
    before = lists(first.corpus)
    (first.run / STATE_FILE).touch()
    shutil.rmtree(first.run / "prepared")
    again = Prepared(data_folder)
    assert lists(again.corpus) == before
    assert not any("training a bpe tokenizer" in line for line in again.lines)


def test_what_a_killed_process_left_is_made_anew(data_folder: Path) -> None:
    run = data_folder.parent / "run"
    (run / "prepared.partial" / "texts").mkdir(parents=True)
    (run / "prepared.partial" / "source.values").write_bytes(b"half")
    (run / "prepared").mkdir()
    found = Prepared(data_folder)
    assert found.was_made
    assert len(found.corpus) == SOME + 3 * MORE
    assert not (run / "prepared.partial").exists()


def test_a_full_disk_is_named_and_leaves_nothing(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, lists: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("training.ragged.RaggedWriter.append", full)
        with pytest.raises(CorpusError, match=r"cannot prepare the data: No space left on device; .*three"):
            Prepared(data_folder)
    assert list((data_folder.parent / "run").iterdir()) == []
    assert Prepared(data_folder).was_made


OTHER_VOCABULARY = {
    "data": {"train": [{"tsv": "train.tsv"}, {"tsv": "more.tsv", "repeat": 3}]},
    "tokenizer": {"vocab_size": 380},
}


def test_a_preparation_that_fails_leaves_the_pairs_and_the_tokenizer_of_before(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of one vocabulary are never read as those of another."""
    first = Prepared(data_folder)

    def fails(*given: object) -> None:
        raise CorpusError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("training.training_pairs._encode", fails)
        with pytest.raises(CorpusError, match="stopped"):
            Prepared(data_folder, config(**OTHER_VOCABULARY))
    again = Prepared(data_folder)
    assert not again.was_made
    assert again.tokenizer.files() == first.tokenizer.files()


@pytest.mark.parametrize("is_noted", [True, False], ids=["noted", "of an older version"])
def test_pairs_of_another_tokenizer_are_prepared_anew(
    data_folder: Path, is_noted: bool, tmp_path: Path
) -> None:
    """As a crash between the two leaves them, and an older version of Verto did."""
    run = Prepared(data_folder, config(**OTHER_VOCABULARY)).run
    shutil.copytree(run / "tokenizer", tmp_path / "other")
    first = Prepared(data_folder)
    shutil.copytree(tmp_path / "other", run / "tokenizer", dirs_exist_ok=True)
    if not is_noted:
        forget_tokenizer(run)
    again = Prepared(data_folder)
    assert "the tokenizer that they were encoded with" in again.lines[0]
    assert again.tokenizer.files() == first.tokenizer.files()
    assert not Prepared(data_folder).was_made


def forget_tokenizer(run: Path) -> None:
    """As an older version of Verto wrote the index."""
    path = run / "prepared" / "index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    index.pop("tokenizer", None)
    path.write_text(json.dumps(index), encoding="utf-8")


def test_a_begun_run_does_not_go_on_with_another_tokenizer(data_folder: Path, tmp_path: Path) -> None:
    run = Prepared(data_folder, config(**OTHER_VOCABULARY)).run
    shutil.copytree(run / "tokenizer", tmp_path / "other")
    Prepared(data_folder)
    (run / STATE_FILE).touch()
    forget_tokenizer(run)
    assert not Prepared(data_folder).was_made  # an older version's: the state knows its tokenizer
    shutil.rmtree(run / "prepared")
    Prepared(data_folder)
    shutil.copytree(tmp_path / "other", run / "tokenizer", dirs_exist_ok=True)
    with pytest.raises(ResumeError, match=r"cannot go on .*tokenizer is not the tokenizer that they were"):
        Prepared(data_folder)


def test_a_damaged_index_is_named_with_what_to_do(data_folder: Path) -> None:
    run = Prepared(data_folder).run
    (run / "prepared" / "index.json").write_text("{}")
    with pytest.raises(ResumeError, match=r"index\.json: is not what was written; delete .*prepared to"):
        Prepared(data_folder)


@pytest.mark.parametrize("name", ["source.values", "target.offsets"])
def test_a_file_that_was_cut_off_is_named(data_folder: Path, name: str) -> None:
    path = Prepared(data_folder).run / "prepared" / name
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ResumeError, match=rf"{name}: is not what was written; delete .*prepared to"):
        Prepared(data_folder)
    path.unlink()
    with pytest.raises(ResumeError, match=rf"{name}: is not what was written"):
        Prepared(data_folder)


def test_a_temperature_mixes_the_corpora_of_an_epoch(data_folder: Path) -> None:
    corpora = [{"tsv": "train.tsv"}, {"tsv": "more.tsv"}]
    corpus = Prepared(data_folder, recipe(train=corpora, temperature=100.0)).corpus
    rows = np.concatenate(list(plan_epoch(corpus, 200, 50, seed=1, epoch=0)))
    assert len(rows) == SOME + MORE
    assert 50 <= int((rows >= SOME).sum()) <= 60


def test_sizes_of_the_mixture_are_of_the_pairs_that_fit(data_folder: Path) -> None:
    corpus = Prepared(data_folder, recipe(temperature=2.0, max_tokens=24)).corpus
    assert corpus.mixture is not None
    assert 0 < sum(corpus.mixture.sizes) == len(corpus) < SOME + 3 * MORE


def test_text_is_kept_of_the_sides_that_are_split_anew(data_folder: Path) -> None:
    found = Prepared(data_folder, recipe(subword_sampling={"alpha": 0.5, "sides": "target"}, max_tokens=40))
    sampler, corpus = found.corpus.sampler, found.corpus
    assert sampler is not None
    rows = np.arange(len(corpus))
    drawn = sampler.draw("target", corpus.target, rows, epoch=0)
    decoded = [
        [found.tokenizer.decode_target(side[i].tolist()) for i in range(len(corpus))]
        for side in (drawn, corpus.target)
    ]
    assert decoded[0] == decoded[1]
    assert not (found.run / "prepared" / "text.source.values").exists()
