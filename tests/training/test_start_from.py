"""Fine-tuning: a run whose first weights and vocabulary are a bundle's."""

import shutil
from pathlib import Path

import pytest
import torch

from model.checkpoint import BundleError, load_bundle
from model.tokenizer import Tokenizer
from tests.builders import dictionary_tokenizer, tiny_bundle, tiny_config, tiny_sentences, tiny_tokenizer
from tests.training.runs import ListeningMonitor, config, pairs, prepared
from training.config import TrainingConfig, check_recipe
from training.errors import RecipeError
from training.preparation import prepare
from training.release import published
from training.run import train
from training.run_tokenizer import extended
from training.tokenizer_training import train_tokenizer, with_symbols
from training.trainer import Trainer

# What a recipe may say of the tiny bundle's network; the rest comes from its tokenizer.
FROM_BUNDLE = {"source_vocab_size", "target_vocab_size", "pad_id", "eos_id", "decoder_start_id"}


def fine_tuning(bundle: Path | str, placeholders: int = 0, **model: object) -> TrainingConfig:
    shape = {name: value for name, value in tiny_config().to_dict().items() if name not in FROM_BUNDLE}
    settings = config(model={**shape, **model}, data={"max_tokens": 16}).model_dump(exclude={"tokenizer"})
    given = {"start_from": str(bundle), "tokenizer": {"placeholders": placeholders}}
    return TrainingConfig.model_validate({**settings, **given})


def test_the_first_weights_are_the_bundles(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    trainer = Trainer(
        settings := fine_tuning(bundle.path), prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path)
    )
    trainer.resume()
    kept = bundle.model.state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in trainer.model.state_dict().items())


def test_without_a_bundle_the_first_weights_are_others(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = config()
    trainer = Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path))
    trainer.resume()
    ours, kept = trainer.model.output.weight, bundle.model.output.weight
    assert ours.shape != kept.shape or not torch.equal(ours, kept)


def test_the_vocabulary_is_the_bundles(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    for name in ("train.tsv", "dev.tsv"):
        lines = (f"{pair.source}\t{pair.target}\n" for pair in pairs(12))
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    data = prepare(fine_tuning(bundle.path), tmp_path, tmp_path / "run", ListeningMonitor())
    assert data.tokenizer.files() == load_bundle(bundle.path).tokenizer.files()


def test_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = fine_tuning(bundle.path, encoder_ffn_dim=tiny_config().encoder_ffn_dim + 8)
    trainer = Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path))
    with pytest.raises(RecipeError, match="encoder_ffn_dim must be"):
        trainer.resume()


@pytest.mark.parametrize("change", [{"dropout": 0.3}, {"alignment_layer": 0}], ids=["dropout", "alignment"])
def test_what_decides_no_weight_is_no_other_shape(tmp_path: Path, change: dict[str, float]) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = fine_tuning(bundle.path, **change)
    Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path)).resume()


def test_a_folder_that_is_no_bundle_is_refused_by_name(tmp_path: Path) -> None:
    settings = fine_tuning(tmp_path / "nowhere")
    trainer = Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path))
    with pytest.raises(BundleError, match="nowhere"):
        trainer.resume()


def test_what_is_published_of_it_names_no_folder_of_one_machine(tmp_path: Path) -> None:
    assert published(fine_tuning(tmp_path / "one"))["start_from"] == "one"


def test_its_settings_make_the_same_run_again(tmp_path: Path) -> None:
    settings = fine_tuning(tmp_path / "one")
    assert check_recipe(settings.to_dict()) == settings


def test_a_saved_run_no_longer_needs_the_bundle_it_started_from(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    for name in ("train.tsv", "dev.tsv"):
        lines = (f"{pair.source}\t{pair.target}\n" for pair in pairs(12))
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    settings = fine_tuning(bundle.path, dropout=0.2).model_copy(update={"max_steps": 2})
    assert not train(settings.model_copy(update={"max_seconds": 1e-6}), tmp_path, tmp_path / "run")
    shutil.rmtree(bundle.path)
    assert train(settings, tmp_path, tmp_path / "run")


def test_a_vocabulary_grows_by_placeholders_and_the_other_rows_stay(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = fine_tuning(bundle.path, placeholders=5)
    data = prepared(settings, tokenizer=extended(load_bundle(bundle.path).tokenizer, 5))
    trainer = Trainer(settings, data, tmp_path / "run", ListeningMonitor())
    trainer.resume()
    old, new = (model.output.weight.detach() for model in (bundle.model, trainer.model))
    assert len(new) == len(old) + 5
    assert torch.equal(new[: len(old)], old)
    rows = new[len(old) :]
    assert len(torch.unique(rows, dim=0)) == 5
    assert 0.1 < float((rows.norm(dim=1) / old.norm(dim=1).mean()).mean()) < 2


def test_placeholders_that_a_vocabulary_has_are_not_added_again() -> None:
    grown = extended(tiny_tokenizer(), 3)
    assert extended(grown, 3).files() == extended(grown, 2).files() == grown.files()
    assert len(extended(grown, 4).placeholders) == 4


def test_tags_that_a_vocabulary_lacks_are_put_behind_its_other_pieces() -> None:
    tokenizer = tiny_tokenizer()
    grown = extended(tokenizer, 0, ("<BT>",))
    assert grown.source_vocab_size == tokenizer.source_vocab_size + 1
    assert extended(grown, 0, ("<BT>",)).files() == grown.files()
    ids = grown.encode_source("<BT> ba de")
    assert grown.source_vocab_size - 1 in ids
    assert grown.encode_source("ba de") == tokenizer.encode_source("ba de")


def test_a_dictionary_takes_no_tags() -> None:
    with pytest.raises(RecipeError, match=r"data.train.tag must be left out with start_from.*got <BT>"):
        extended(dictionary_tokenizer(), 0, ("<BT>",))


def test_a_dictionary_takes_no_placeholders() -> None:
    with pytest.raises(RecipeError, match=r"tokenizer.placeholders must be 0 with start_from.*got 2"):
        extended(dictionary_tokenizer(), 2)


def test_placeholders_need_pieces_that_stand_for_them() -> None:
    with pytest.raises(RecipeError, match=r"data.augmentation.placeholders must be 0 .* got 0.5"):
        config(data={"augmentation": {"placeholders": 0.5}})


def another_vocabulary(bundle: Path) -> TrainingConfig:
    """The bundle's shape with a vocabulary of its own."""
    shape = {name: value for name, value in tiny_config().to_dict().items() if name not in FROM_BUNDLE}
    return config(start_from=str(bundle), model=shape, data={"max_tokens": 16})


def test_pieces_that_both_vocabularies_have_keep_their_rows(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = another_vocabulary(bundle.path)
    other = Tokenizer.from_bytes(train_tokenizer([*tiny_sentences(60, seed=9), "Zx qy!"], vocab_size=400))
    data = prepared(settings, tokenizer=other)
    assert data.tokenizer.files() != bundle.tokenizer.files()
    trainer = Trainer(settings, data, tmp_path / "run", ListeningMonitor())
    trainer.resume()
    known = bundle.tokenizer.target_pieces(range(bundle.tokenizer.target_vocab_size))
    for name in ("source_embedding.tokens.weight", "target_embedding.tokens.weight", "output.weight"):
        ours, theirs = (model.state_dict()[name] for model in (trainer.model, bundle.model))
        others = 0
        for row, piece in enumerate(other.target_pieces(range(len(ours)))):
            if piece in known:
                assert torch.equal(ours[row], theirs[known.index(piece)]), (name, piece)
                others += row != known.index(piece)
        assert others > 0, "no shared piece has another id, so that nothing was seen"


def test_a_vocabulary_that_is_asked_for_is_learned(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    for name in ("train.tsv", "dev.tsv"):
        lines = (f"{pair.source}\t{pair.target}\n" for pair in pairs(12))
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    settings = another_vocabulary(bundle.path)
    data = prepare(settings, tmp_path, tmp_path / "run", ListeningMonitor())
    assert data.tokenizer.source_vocab_size == settings.tokenizer.vocab_size
    assert data.tokenizer.files() != load_bundle(bundle.path).tokenizer.files()


def test_a_recipe_with_a_vocabulary_to_learn_makes_the_same_run_again(tmp_path: Path) -> None:
    settings = another_vocabulary(tmp_path / "one")
    assert settings.learns_vocabulary
    assert check_recipe(settings.to_dict()) == settings
    assert check_recipe(settings.to_dict()).learns_vocabulary


def test_tags_of_languages_that_a_vocabulary_lacks_are_put_behind_its_other_pieces() -> None:
    tokenizer = tiny_tokenizer()
    grown = extended(tokenizer, 2, ("<BT>",), (">>de<<", ">>en<<"))
    pieces = grown.source_pieces(range(grown.source_vocab_size))
    assert pieces[tokenizer.source_vocab_size :] == ["<BT>", *grown.placeholders, ">>de<<", ">>en<<"]
    assert extended(grown, 2, ("<BT>",), (">>de<<",)).files() == grown.files()
    for text in (">>de<<", "ba >>en<< de"):
        assert grown.encode_source(text) == tokenizer.encode_source(text), "a text must not forge a tag"
    assert all(grown.is_target_control(pieces.index(tag)) for tag in (">>de<<", ">>en<<"))


def test_a_language_whose_tag_a_text_could_hold_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    forged = Tokenizer.from_files({n: with_symbols(m, (">>de<<",)) for n, m in tokenizer.files().items()})
    with pytest.raises(RecipeError, match=r"control_symbols: must be no piece of text, got >>de<<"):
        extended(forged, 0, (), (">>de<<", ">>en<<"))


def test_a_dictionary_takes_no_tag_of_a_language_but_those_that_it_has() -> None:
    imported = dictionary_tokenizer(tags=(">>fra<<", ">>oci<<"))
    assert extended(imported, 0, (), (">>oci<<", ">>fra<<")) is imported
    with pytest.raises(RecipeError, match=r"directions must have one target language with .*got >>deu<<"):
        extended(imported, 0, (), (">>fra<<", ">>deu<<"))


def test_a_model_of_one_direction_learns_a_second_one(tmp_path: Path) -> None:
    """With the bundle's own vocabulary: tags are added, and all other rows begin as they were."""
    bundle = tiny_bundle(tmp_path / "one")
    lines = (f"{pair.source}\t{pair.target}\n" for pair in pairs(12))
    (tmp_path / "text.tsv").write_text("".join(lines), encoding="utf-8")
    texts = [{"tsv": "text.tsv", "direction": ["en", "de"]}, {"tsv": "text.tsv", "direction": ["de", "en"]}]
    settings = fine_tuning(bundle.path).model_dump(exclude={"tokenizer"})
    settings["data"] |= {"train": texts, "dev": texts}
    both = TrainingConfig.model_validate({**settings, "directions": [["en", "de"], ["de", "en"]]})
    data = prepare(both, tmp_path, tmp_path / "run", ListeningMonitor())
    trainer = Trainer(both, data, tmp_path / "run", ListeningMonitor(tmp_path))
    trainer.resume()
    old, new = (model.state_dict()["output.weight"] for model in (bundle.model, trainer.model))
    assert data.signals.token_ids == {"de": len(old), "en": len(old) + 1}
    assert torch.equal(new[: len(old)], old)
    assert data.train.source[0].tolist() == [len(old), *bundle.tokenizer.encode_source(pairs(12)[0].source)]
