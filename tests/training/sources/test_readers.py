"""Each format gives first language, second language; a file that is not in its format is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.training.sources.raw import put, tar_of, zip_of
from training.errors import SourceError
from training.sources.config import Part
from training.sources.readers import read_part

PO = 'msgid "The file"\nmsgstr "Die Datei"\n\nmsgid "See here. Then go."\nmsgstr "Sieh her. Dann geh."\n'
SAME = 'msgid "the same"\nmsgstr "the same"\n\nmsgid "one two three"\nmsgstr "eins"\n'
WOZ = [{"dialogue": [{"transcript": "Hello there"}, {"transcript": "Not translated"}]}]
WOZ_DE = [{"dialogue": [{"transcript": "Hallo du"}, {"transcript": "Not translated"}]}]
CHAT = {
    "1": [
        {"speaker": "agent", "source": "Hi", "target": "Hallo"},
        {"speaker": "customer", "source": "Guten Tag", "target": "Good day"},
    ]
}


def squad(context: str, question: str) -> dict[str, Any]:
    paragraph = {"context": context, "qas": [{"id": "1", "question": question}]}
    return {"data": [{"paragraphs": [paragraph]}]}


FILES = {
    "deu.zip": zip_of({"deu.txt": "Go.\tGeh.\tby Tom\nHi.\tHallo.\tby Ann\n"}),
    "two.tar.gz": tar_of({"t/train.src": "It 's mine .\n", "t/train.pe": "Es ist meins .\n"}),
    "short.txt": "one\n",
    "long.txt": "eins\r\nzwei\r\n",
    "po.tar.gz": tar_of({"po/de/a.po": PO, "po/fr/a.po": "nonsense"}),
    "same.po": SAME,
    "woz_en.json": json.dumps(WOZ),
    "woz_de.json": json.dumps(WOZ_DE),
    "chat.json": json.dumps(CHAT),
    "squad_en.json": json.dumps(squad("One thing. Another.", "What is it?")),
    "squad_de.json": json.dumps(squad("Eine Sache. Noch eine.", "Was ist das?")),
    "ding.txt": "# head\nKatze {f} [zool.] | Die Katze schläft. :: cat; puss | The cat sleeps.\n"
    "Hund {m} | Hunde {pl} :: dog\nA/B {f} :: to go/run\n",
    "broken.json": "{",
    "deep.json": "[" * 100_000,
    "number.json": f"[{'1' * 5000}]",
    "half.json": json.dumps(WOZ_DE).replace("Hallo", "Hallo \\ud83d"),
    "null.json": json.dumps({"1": [{"speaker": "agent", "source": "Hi", "target": None}]}),
    "asked.json": json.dumps(squad("One thing. Another.", "What is it?")).replace('"What is it?"', "5"),
}


def read(folder: Path, **part: Any) -> list[tuple[str, str]]:
    put(folder, FILES)
    checked: Part = TypeAdapter(Part).validate_python(part)
    return [tuple(pair) for pair in read_part(checked, folder)]


@pytest.mark.parametrize(
    ("part", "pairs"),
    [
        ({"format": "tsv", "text": "deu.zip/deu.txt"}, [("Go.", "Geh."), ("Hi.", "Hallo.")]),
        (
            {"format": "tsv", "text": "deu.zip/deu.txt", "columns": (2, 0)},
            [("by Tom", "Go."), ("by Ann", "Hi.")],
        ),
        ({"format": "lines", "texts": ("long.txt", "long.txt")}, [("eins", "eins"), ("zwei", "zwei")]),
        (
            {"format": "lines", "texts": ("two.tar.gz/*.src", "two.tar.gz/*.pe"), "detokenize": ("en", "de")},
            [("It's mine.", "Es ist meins.")],
        ),
        (
            {"format": "gettext", "text": "po.tar.gz/po/de/*.po"},
            [("The file", "Die Datei"), ("See here. Then go.", "Sieh her. Dann geh.")],
        ),
        (
            {"format": "gettext", "text": "po.tar.gz/po/de/*.po", "split": True},
            [("The file", "Die Datei"), ("See here.", "Sieh her."), ("Then go.", "Dann geh.")],
        ),
        (
            {"format": "gettext", "text": "po.tar.gz/po/de/*.po", "min_words": 3},
            [("See here. Then go.", "Sieh her. Dann geh.")],
        ),
        ({"format": "gettext", "text": "po.tar.gz/po/de/*.po", "max_tokens": 5}, [("The file", "Die Datei")]),
        ({"format": "gettext", "text": "same.po", "drop_identical": True}, [("one two three", "eins")]),
        ({"format": "gettext", "text": "same.po", "max_ratio": 2}, [("the same", "the same")]),
        ({"format": "woz", "texts": ("woz_en.json", "woz_de.json")}, [("Hello there", "Hallo du")]),
        ({"format": "bcontrast", "text": "chat.json"}, [("Hi", "Hallo"), ("Good day", "Guten Tag")]),
        (
            {"format": "squad", "texts": ("squad_en.json", "squad_de.json")},
            [("One thing.", "Eine Sache."), ("Another.", "Noch eine."), ("What is it?", "Was ist das?")],
        ),
        ({"format": "ding", "text": "ding.txt", "take": "words"}, [("cat", "Katze")]),
        (
            {"format": "ding", "text": "ding.txt", "take": "sentences"},
            [("The cat sleeps.", "Die Katze schläft.")],
        ),
    ],
)
def test_a_format_gives_its_pairs(tmp_path: Path, part: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
    assert read(tmp_path, **part) == pairs


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ({"format": "tsv", "text": "short.txt"}, "short.txt: line 1 has 1 columns, column 1"),
        (
            {"format": "lines", "texts": ("short.txt", "long.txt")},
            "short.txt: ends after line 1, long.txt goes on",
        ),
        ({"format": "bcontrast", "text": "broken.json"}, "broken.json: not JSON"),
        ({"format": "bcontrast", "text": "woz_en.json"}, "woz_en.json: not in the form that its format has"),
        ({"format": "woz", "texts": ("woz_en.json", "chat.json")}, "chat.json: not in the form"),
        ({"format": "squad", "texts": ("squad_en.json", "chat.json")}, "chat.json: not in the form"),
        ({"format": "bcontrast", "text": "deep.json"}, "deep.json: not JSON"),
        ({"format": "bcontrast", "text": "number.json"}, "number.json: not JSON"),
        ({"format": "woz", "texts": ("woz_en.json", "half.json")}, r"half.json: not in the form.*U\+D83D"),
        ({"format": "bcontrast", "text": "null.json"}, "null.json: not in the form.*None is no text"),
        ({"format": "squad", "texts": ("squad_en.json", "asked.json")}, "asked.json: not in the form.*5"),
    ],
)
def test_another_form_is_told_with_the_file(tmp_path: Path, part: dict[str, Any], fault: str) -> None:
    with pytest.raises(SourceError, match=fault):
        read(tmp_path, **part)
