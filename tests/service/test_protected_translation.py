"""Whatever a model writes, what must not change comes back once and as it was, over the whole way.

The model is a random one that writes symbols at random too, so that nearly every segment has to be mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.masking import has_private
from tests.builders import tiny_bundle, tiny_info
from tests.service.http_client import bundle_client, read_events, streamed_texts
from tests.service.test_stream_truth import screen

TEXTS = {
    "Ba de {name}: go hu 1,250 fi 🎉 le.": ["{name}", "1,250", "🎉"],
    "Ba <b>de</b> go https://x.org/y?z=1, fi ann@b.org.": ["<b>", "</b>", "https://x.org/y?z=1", "ann@b.org"],
    "Ka Привет мир le 东京 go %s.": ["Привет мир", "东京", "%s"],
    "Mi no \ue001 pu \ue000\uf000 sä.": [],
}
WAYS: list[dict[str, Any]] = [
    {"strategy": "greedy"},
    {"beam_size": 4},
    {"beam_size": 4, "num_hypotheses": 3, "diversity_groups": 2, "diversity_penalty": 0.5},
    {"strategy": "sample", "seed": 11, "temperature": 1.2, "max_length": 24},
    {"beam_size": 2, "no_repeat_ngram_size": 2},
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_bundle(folder, seed=1, placeholders=6)
    with bundle_client(folder) as client:
        yield client


def ask(client: TestClient, text: Any, **body: Any) -> Any:
    response = client.post("/v1/translate", json={"text": text, "source": "en", **body})
    assert response.status_code == 200, response.text
    return response


def translated(client: TestClient, text: Any, **body: Any) -> list[Any]:
    answer: list[Any] = ask(client, text, **body).json()["translations"]
    return answer


@pytest.mark.parametrize("way", WAYS)
def test_each_span_is_there_once_and_no_symbol_is(client: TestClient, way: dict[str, Any]) -> None:
    for (text, spans), found in zip(TEXTS.items(), translated(client, list(TEXTS), **way), strict=True):
        for one in [found, *found.get("hypotheses", ())]:
            own = sorted(filter(has_private, text))
            shown = sorted(filter(has_private, one["text"]))
            assert shown in ([], own)
            if one["finish_reason"] == "stop":
                assert shown == own
                assert [one["text"].count(span) for span in spans] == [1] * len(spans), one["text"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["stable", "draft"])
def test_a_stream_shows_what_is_answered_in_one_piece(
    client: TestClient, way: dict[str, Any], mode: str
) -> None:
    texts = list(TEXTS)
    told = read_events(ask(client, texts, stream=True, stream_mode=mode, **way).text)
    assert screen(told, len(texts)) == [one["text"] for one in translated(client, texts, **way)]
    if mode == "stable":
        assert streamed_texts(told, len(texts)) == screen(told, len(texts))


def test_a_span_comes_in_one_delta(client: TestClient) -> None:
    text, spans = list(TEXTS.items())[1]
    told = read_events(ask(client, text, stream=True, strategy="greedy").text)
    deltas = [event.data["text"] for event in told if event.name == "delta"]
    assert [sum(span in delta for delta in deltas) for span in spans] == [1] * len(spans)


def test_places_of_words_are_those_of_the_texts_that_are_seen(client: TestClient) -> None:
    text = "Ba {name} de <b>go</b> hu 🎉 ka."
    (found,) = translated(
        client, f"- Le.\n{text}", **{"return": ["alignment", "segments", "tokens", "attention"]}
    )
    copied = [("{name}", "{name}"), ("<b>", "<b>"), ("</b>", "</b>"), ("🎉", "🎉")]
    source = f"- Le.\n{text}"
    pairs = [
        (source[slice(*pair["source_span"])], found["text"][slice(*pair["target_span"])])
        for pair in found["alignment"]
    ]
    assert [pair for pair in pairs if pair in copied] == [pair for pair in pairs if pair[1] in dict(copied)]
    assert {pair[1] for pair in pairs} >= set(dict(copied))
    for segment in found["segments"]:
        assert source[slice(*segment["source_span"])] == segment["source"]
        assert found["text"][slice(*segment["target_span"])] == segment["text"]
    second = found["attention"][1]
    assert "{name}" in second["source_tokens"]
    assert not any(map(has_private, [*second["source_tokens"], *second["target_tokens"]]))
    assert not any(has_private(token["token"]) for token in found["tokens"])


def test_a_text_in_capitals_is_answered_in_capitals_streamed_or_not(client: TestClient) -> None:
    text = "BA DE {name} GO HU. Ka le."
    (found,) = translated(client, text, **{"return": ["segments"]})
    first, second = (segment["text"] for segment in found["segments"])
    assert first.replace("{name}", "").isupper() or not any(map(str.isalpha, first.replace("{name}", "")))
    assert "{name}" in first
    assert not second.isupper()
    told = read_events(ask(client, text, stream=True).text)
    assert streamed_texts(told, 1) == [found["text"]]


@pytest.mark.parametrize(("language", "is_copied"), [("fr", False), ("en", True)])
def test_what_a_rare_letter_makes_of_a_word_is_said_by_the_texts_language(
    tmp_path: Path, language: str, is_copied: bool
) -> None:
    directions = ((language, "de"),)
    tiny_bundle(tmp_path / "tiny", seed=1, placeholders=6, info=tiny_info(directions=directions))
    body = {"text": "Ba sœur de go.", "source": language, "target": "de"}
    with bundle_client(tmp_path / "tiny") as client:
        answer = client.post("/v1/translate", json=body).json()
    assert ("sœur" in answer["translations"][0]["text"]) is is_copied


def test_characters_are_counted_as_they_were_sent(client: TestClient) -> None:
    text = "Ba https://example.org/a/long/address de."
    assert ask(client, text).json()["usage"]["characters"] == len(text)


@pytest.mark.parametrize(
    "text", ["https://x.org/", "{name}", "ann@b.org 🎉 1,250", "Привет, мир!", "\ue000 {x}"]
)
def test_a_text_of_nothing_else_passes_through_unchanged(client: TestClient, text: str) -> None:
    (found,) = translated(client, text)
    assert (found["text"], found["score"]) == (text, None)


def test_pictures_at_the_edges_stay_where_they_are(client: TestClient) -> None:
    (found,) = translated(client, "🎉 Ba de go. 🎉\n", **{"return": ["segments"]})
    assert found["text"].startswith("🎉 ")
    assert found["text"].endswith(" 🎉\n")
    assert [segment["source"] for segment in found["segments"]] == ["Ba de go."]


def test_a_sentence_does_not_end_within_what_must_not_change(client: TestClient) -> None:
    text = "Ba {{ de. Go }} hu. Ka le."
    (found,) = translated(client, text, **{"return": ["segments"]})
    assert [segment["source"] for segment in found["segments"]] == ["Ba {{ de. Go }} hu.", "Ka le."]
    assert "{{ de. Go }}" in found["text"]


def test_a_long_sentence_is_divided_beside_what_must_not_change(client: TestClient) -> None:
    text = " ".join(["ba de, {{ go, hu }} fi"] * 12)
    (found,) = translated(client, text, **{"return": ["segments"]})
    assert len(found["segments"]) > 1
    assert found["text"].count("{{ go, hu }}") == 12


@pytest.mark.parametrize("prefix", ["Ka {name}", "Ka {name} go 1,25", "1,250", "<b>Le</b> {na"])
@pytest.mark.parametrize("way", WAYS[:2])
def test_a_translation_begins_with_the_prefix_and_still_has_each_span_once(
    client: TestClient, prefix: str, way: dict[str, Any]
) -> None:
    text = "Ba de {name}: go hu 1,250 fi le <b>no</b>."
    (found,) = translated(client, text, prefix=prefix, **way)
    assert found["text"].startswith(prefix)
    assert found["text"].count("{name}") == 1 or prefix.endswith("{na")
    told = read_events(ask(client, text, prefix=prefix, stream=True, **way).text)
    assert streamed_texts(told, 1) == [found["text"]]


def test_alternatives_are_shown_with_what_they_stand_for(client: TestClient) -> None:
    text = "Ba de {name}: go hu 1,250 fi."
    (found,) = translated(client, text, prefix="Ka {name}", alternatives=8)
    assert found["alternatives"]
    for one in found["alternatives"]:
        assert not has_private(one["text"] + one["next"] + one["token"])
        assert one["text"].startswith("Ka {name}" + one["next"])
        assert one["text"].count("{name}") == 1


def test_what_is_banned_or_required_is_the_model_s_business(client: TestClient) -> None:
    text = "Ba de {name}: go hu 1,250 fi."
    (found,) = translated(client, text, banned=["name"])
    assert "name" not in found["text"].replace("{name}", "")
    (found,) = translated(client, text, required=["le 1,250"])
    assert "le 1,250" in found["text"]
    assert "{name}" in found["text"]


@pytest.mark.parametrize(("field", "value"), [("prefix", "Ba \ue000"), ("required", ["\ue005 de"])])
def test_text_that_would_be_taken_for_symbols_is_refused_by_name(
    client: TestClient, field: str, value: Any
) -> None:
    body = {"text": "Ba de {x} go.", "source": "en", field: value}
    response = client.post("/v1/translate", json=body)
    assert response.status_code == 422
    (fault,) = response.json()["errors"]
    assert fault["field"].startswith(field)
    assert "U+E000" in fault["bound"]


def test_equal_masks_share_one_computation_and_keep_their_own_spans(client: TestClient) -> None:
    texts = [f"Ba de {number} go hu." for number in (1984, 2001, 3.14)]
    found = [one["text"] for one in translated(client, texts)]
    assert ["1984" in found[0], "2001" in found[1], "3.14" in found[2]] == [True] * 3
    alike = zip(found, ("1984", "2001", "3.14"), strict=True)
    assert len({one.replace(number, "#").replace(" ", "") for one, number in alike}) == 1


def test_a_bundle_without_placeholders_reads_every_character(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    tiny_bundle(folder, seed=1, info=tiny_info(name="plain"))
    text = "Ba de {name}: go 1,250."
    with bundle_client(folder) as client:
        found = ask(client, text).json()
    assert found["usage"]["source_tokens"] > len("{name}1,250")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The same model, that reads everything itself."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_bundle(folder, seed=1, placeholders=6)
    with bundle_client(folder, copying=False) as client:
        yield client


def test_without_copying_the_model_reads_what_would_be_copied(client: TestClient, reader: TestClient) -> None:
    text = "Ba {name} 1,250 BA DE."
    copied, read = (ask(one, text).json() for one in (client, reader))
    assert read["usage"]["source_tokens"] > copied["usage"]["source_tokens"]
    assert read["translations"][0]["text"] != copied["translations"][0]["text"]


@pytest.mark.parametrize("way", WAYS)
def test_without_copying_no_symbol_is_written_either(reader: TestClient, way: dict[str, Any]) -> None:
    for text, found in zip(TEXTS, translated(reader, list(TEXTS), **way), strict=True):
        own = sorted(filter(has_private, text))
        assert sorted(filter(has_private, found["text"])) in ([], own)
