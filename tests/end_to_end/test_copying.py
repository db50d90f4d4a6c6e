"""The shipped models that have learned to copy do so, in cases such as `loadtests.robustness` makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.robustness.asking import asking
from loadtests.robustness.copies import copy_cases
from model.bundle_head import load_bundle_head

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
COUNT, SHARE = 60, 0.98


def shipped() -> list[str]:
    """Names of the bundles whose tokenizer has placeholders."""
    folders = (path.parent for path in sorted(CHECKPOINTS.glob("*/config.json")))
    return [folder.name for folder in folders if load_bundle_head(folder).tokenizer.placeholders]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_model_copies_what_must_not_change(name: str) -> None:
    with asking(CHECKPOINTS / name, 1) as what:
        cases = copy_cases(what.source, COUNT, seed=5)
        translations = what.translations([case.text for case in cases])
    faults = [fault for case, text in zip(cases, translations, strict=True) if (fault := case.fault(text))]
    assert len(faults) <= (1 - SHARE) * COUNT, faults


def test_french_words_with_letters_that_its_vocabulary_lacks_are_translated() -> None:
    with asking(CHECKPOINTS / "fr-en", 1) as what:
        translations = what.translations(["Ma sœur mange un œuf.", "Joyeux Noël !", "Łukasz est égoïste."])
    for text, words in zip(
        translations, (("sister", "egg"), ("christmas",), ("łukasz", "selfish")), strict=True
    ):
        assert all(word in text.casefold() for word in words), text
