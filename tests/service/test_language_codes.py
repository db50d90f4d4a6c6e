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
        ("deu", ["de"], "de"),
        ("de", ["deu_Latn", "eng_Latn"], "deu_Latn"),
        ("en-US", ["eng_Latn"], "eng_Latn"),
        ("pt-BR", ["por_Latn"], "por_Latn"),
        ("pt-BR", ["pt_XX"], "pt_XX"),
        ("ENG_latn", ["eng_Latn"], "eng_Latn"),
        ("zh", ["zho_Hant", "zho_Hans"], "zho_Hans"),
        ("zh-CN", ["zho_Hant", "zho_Hans"], "zho_Hans"),
        ("zh_TW", ["zho_Hant", "zho_Hans"], "zho_Hant"),
        ("zh-Hant-HK", ["zho_Hant", "zho_Hans"], "zho_Hant"),
        ("zh-Hans", ["zh_CN"], "zh_CN"),
        ("ar", ["arb_Arab", "arz_Arab"], "arb_Arab"),
        ("fa", ["pes_Arab", "prs_Arab"], "pes_Arab"),
        ("no", ["nob_Latn", "nno_Latn"], "nob_Latn"),
        ("nb", ["no"], "no"),
        ("pt_br", ["pt_br", "pt_BR"], "pt_br"),
        ("pt_BR", ["pt_BR", "pt_br"], "pt_BR"),
        ("nn", ["nob_Latn", "nno_Latn"], "nno_Latn"),
        ("fil", ["tl"], "tl"),
        ("iw", ["he"], "he"),
        ("yue", ["yue_Hant", "zho_Hant"], "yue_Hant"),
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
        ("deo", ["de"]),
        ("zh-TW", ["zho_Hans"]),
        ("zh-TW", ["zh_CN"]),
        ("sr-Latn", ["srp_Cyrl"]),
        ("en", ["en-GB", "en-US"]),
        ("", ["de"]),
        ("-", ["de"]),
    ],
)
def test_other_languages_and_doubtful_variants_do_not_match(wanted: str, served: list[str]) -> None:
    assert match(wanted, served) is None


def test_names_are_those_of_the_language_whatever_its_region() -> None:
    assert (english_name("de-AT"), own_name("DE")) == ("German", "Deutsch")
    assert (english_name("tlh"), own_name("tlh")) == ("tlh", "tlh")


def test_names_are_found_for_codes_of_any_standard_and_tell_scripts_apart() -> None:
    assert [english_name(code) for code in ("deu_Latn", "en_XX", "swh_Latn")] == [
        "German",
        "English",
        "Swahili",
    ]
    assert [english_name(code) for code in ("te_IN", "tel_Telu", "yue_Hant")] == [
        "Telugu",
        "Telugu",
        "Cantonese",
    ]
    assert own_name("cym_Latn") == "Cymraeg"
    assert [english_name(code) for code in ("zho_Hant", "zh_CN", "zh")] == [
        "Chinese (Traditional)",
        "Chinese (Simplified)",
        "Chinese",
    ]
