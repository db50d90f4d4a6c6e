"""Which served language a code means."""

import pytest

from service.language_codes import english_name, match, own_name


@pytest.mark.parametrize(
    ("wanted", "served", "expected"),
    [
        ("de", ["de", "en"], "de"),
        ("DE", ["de", "en"], "de"),
        ("de-AT", ["de", "en"], "de"),
        ("de_DE", ["de"], "de"),
        ("pt-br", ["pt-PT", "pt-BR"], "pt-BR"),
        ("PT", ["pt-BR"], "pt-BR"),
        ("zh-Hant-TW", ["zh-Hant", "zh"], "zh-Hant"),
        ("zh-TW", ["zh"], "zh"),
        (" en ", ["en"], "en"),
    ],
)
def test_case_region_and_the_only_variant_do_not_matter(
    wanted: str, served: list[str], expected: str
) -> None:
    assert match(wanted, served) == expected


@pytest.mark.parametrize(
    ("wanted", "served"),
    [
        ("fr", ["de"]),
        ("pt", ["pt-BR", "pt-PT"]),
        ("pt-AO", ["pt-BR"]),
        ("d", ["de"]),
        ("deu", ["de"]),
        ("", ["de"]),
        ("-", ["de"]),
    ],
)
def test_other_languages_and_doubtful_variants_do_not_match(wanted: str, served: list[str]) -> None:
    assert match(wanted, served) is None


def test_names_are_those_of_the_language_whatever_its_region() -> None:
    assert (english_name("de-AT"), own_name("DE")) == ("German", "Deutsch")
    assert (english_name("tlh"), own_name("tlh")) == ("tlh", "tlh")
