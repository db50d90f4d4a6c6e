"""A model is found by path, name or languages, and what is there is listed when none fits."""

import re
from pathlib import Path

import pytest

from cli.model_choice import bundle_folder, choose
from model.bundle_config import CONFIG_FILE, config_bytes
from model.checkpoint import BundleError
from tests.builders import tiny_config, tiny_info


def describe(folder: Path, name: str, *directions: tuple[str, str]) -> Path:
    """A bundle as far as its description goes: no weights are needed to choose one."""
    folder.mkdir()
    (folder / CONFIG_FILE).write_bytes(
        config_bytes(tiny_info(name=name, directions=directions), tiny_config())
    )
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    describe(tmp_path / "a", "small", ("en", "de"))
    describe(tmp_path / "b", "large", ("en", "de"), ("de", "en"))
    describe(tmp_path / "c", "brazil", ("en", "pt-BR"))
    return tmp_path


@pytest.mark.parametrize(
    ("model", "source", "target", "expected"),
    [
        (None, "en", "de", "en-de (small)"),
        (None, "de", "en", "de-en (large)"),
        (None, "de", None, "de-en (large)"),
        (None, "EN", "pt", "en-pt-BR (brazil)"),
        (None, "en_US", "de-AT", "en-de (small)"),
        ("large", "en", "de", "en-de (large)"),
        ("b", "en", None, "en-de (large)"),
        ("small", None, None, "en-de (small)"),
    ],
)
def test_the_model_that_fits_is_chosen(
    models: Path, model: str | None, source: str | None, target: str | None, expected: str
) -> None:
    assert str(choose(models, model, source, target)) == expected


def test_a_folder_is_chosen_wherever_it_lies(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = describe(tmp_path_factory.mktemp("other") / "mine", "mine", ("fr", "de"))
    chosen = choose(models, str(elsewhere), None, None)
    assert (chosen.folder, chosen.name, chosen.version) == (elsewhere, "mine", "1")


EVERYTHING = "en-de (small), en-de (large), de-en (large), en-pt-BR (brazil)"


@pytest.mark.parametrize(
    ("model", "source", "target", "fault"),
    [
        (None, "en", "ja", f"no model translates en to ja; there is {EVERYTHING}"),
        (None, "ja", None, f"no model translates ja to any other; there is {EVERYTHING}"),
        ("small", "de", "en", "no model translates de to en; there is en-de (small)"),
        ("none", "en", "de", f"no model is called 'none'; there is {EVERYTHING}"),
        (
            "large",
            None,
            None,
            "--source and --target are needed to choose from en-de (large), de-en (large)",
        ),
    ],
)
def test_what_fits_nothing_or_too_much_lists_what_there_is(
    models: Path, model: str | None, source: str | None, target: str | None, fault: str
) -> None:
    with pytest.raises(BundleError, match=re.escape(f"{models}: {fault}")):
        choose(models, model, source, target)


def test_an_empty_folder_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle found in this folder; name another with --models-dir"):
        choose(tmp_path, None, "en", "de")
    with pytest.raises(BundleError, match="missing: no such folder; name another with --models-dir"):
        choose(tmp_path / "missing", "small", "en", "de")


def test_a_broken_bundle_hinders_only_who_needs_it(models: Path) -> None:
    (models / "b" / CONFIG_FILE).write_text("{")
    assert choose(models, None, "en", "de").name == "small"
    with pytest.raises(BundleError, match=r"config\.json"):
        choose(models, "b", None, None)
    with pytest.raises(BundleError, match="no model is called 'none'"):
        choose(models, "none", None, None)
    for name in "ac":
        (models / name / CONFIG_FILE).unlink()
    with pytest.raises(BundleError, match=r"config\.json"):
        choose(models, None, "en", "de")


def test_a_path_that_is_no_bundle_is_told_as_a_path(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing: no such folder"):
        bundle_folder(tmp_path, str(tmp_path / "missing"))
    with pytest.raises(BundleError, match=r"no bundle: no config\.json in it"):
        bundle_folder(tmp_path, str(tmp_path))
