"""Where a recipe's corpora come from: raw files, their formats, what is kept apart. Frozen and checked.

Knows: the `sources` section of a recipe, setting by setting. Must not know: bytes, the network, where data
lies.

A *text* below is a raw file (`deu.txt`), or members of one that is an archive, as a path with wildcards:
`corpus.tar.xz/po/de/*.po` are all members of `corpus.tar.xz` that fit `po/de/*.po` (`*` crosses slashes).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from training.data_config import Section
from training.errors import RecipeError

TRAIN = "train"

# A file's or a folder's name: no way out of the folder that it stands in, and no hidden file.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~-]*$")]
Text = Annotated[str, Field(min_length=1)]


class RawFile(Section):
    """A file as somebody publishes it, or one that lies beside the recipe."""

    url: str | None = Field(None, pattern=r"^https?://", description="where it is downloaded from")
    path: str | None = Field(None, description="a local file instead, from the recipe's folder")
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="its checksum; without one, that of the first download is noted and demanded ever after",
    )
    size: int | None = Field(None, ge=0, description="its length in bytes, if known")

    @model_validator(mode="after")
    def _one_place(self) -> RawFile:
        if (self.url is None) == (self.path is None):
            raise ValueError("name either `url` or `path`")
        return self


class TabSeparated(Section):
    """Lines of columns, the two languages in two of them."""

    format: Literal["tsv"] = Field(description="lines of tab-separated columns")
    text: Text = Field(description="the raw file, or `ARCHIVE/MEMBER`")
    columns: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        (0, 1), description="columns of the first and the second language, counted from 0"
    )


class ParallelLines(Section):
    """Two files of equally many lines."""

    format: Literal["lines"] = Field(description="two files of equally many lines")
    texts: tuple[Text, Text] = Field(description="raw files or members of the first and the second language")
    detokenize: tuple[str, str] | None = Field(
        None, description="join what Moses' tokenizer has cut; the language codes of both sides"
    )


class Catalogues(Section):
    """Gettext catalogues (`.po`, or compiled `.mo`): the first language translated into the second."""

    format: Literal["gettext"] = Field(description="message catalogues, `.po` or `.mo`")
    text: Text = Field(description="the catalogues, such as `ARCHIVE/po/de/*.po`")
    markup: Literal["none", "docbook", "libreoffice", "rst", "wesnoth"] = Field(
        "none",
        description="what the messages are written in; tags go, what cannot be read as text is dropped",
    )
    split: bool = Field(False, description="into sentences, where both sides have equally many")
    min_words: int = Field(1, ge=1, description="words of the first language; a shorter message is dropped")
    max_tokens: int | None = Field(None, ge=1, description="words and marks of the longer side, at most")
    max_ratio: float | None = Field(None, ge=1, description="characters of the longer over the shorter side")
    drop_identical: bool = Field(False, description="drop messages with equal sides")


class Dialogues(Section):
    """WOZ 2.0's JSON: one file a language, turn by turn."""

    format: Literal["woz"] = Field(description="dialogues of WOZ 2.0, a JSON file a language")
    texts: tuple[Text, Text] = Field(description="raw files of the first and the second language")


class Chat(Section):
    """BConTrasT's JSON: each turn with its translation."""

    format: Literal["bcontrast"] = Field(description="chats of BConTrasT, JSON")
    text: Text = Field(description="the raw file")
    foreign_speaker: str = Field("customer", description="whose turns were said in the second language")


class Questions(Section):
    """SQuAD's JSON in two languages (XQuAD)."""

    format: Literal["squad"] = Field(description="questions and paragraphs as SQuAD has them, JSON")
    texts: tuple[Text, Text] = Field(description="raw files of the first and the second language")


class Dictionary(Section):
    """Ding's word list: second language `::` first language, sub-entries between bars."""

    format: Literal["ding"] = Field(description="the word list of the program Ding")
    text: Text = Field(description="the raw file, or `ARCHIVE/MEMBER`")
    take: Literal["sentences", "words"] = Field(description="example sentences, or everything else")


Part = Annotated[
    TabSeparated | ParallelLines | Catalogues | Dialogues | Chat | Questions | Dictionary,
    Field(discriminator="format"),
]


class HeldOutFile(Section):
    """A dev or test text: read from raw files, or chosen among the training pairs."""

    parts: tuple[Part, ...] = Field((), description="what it is read from")
    choose: int | None = Field(
        None, ge=1, description="instead: so many training pairs, by a digest, no side twice"
    )
    min_words: int = Field(0, ge=0, description="pairs with a shorter side are left out")
    as_published: bool = Field(
        False, description="only white space and Unicode's composition are unified; repeated pairs stay"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> HeldOutFile:
        if bool(self.parts) == (self.choose is not None):
            raise ValueError("name either `parts` or `choose`")
        if self.choose is not None and self.as_published:
            raise ValueError("`as_published` belongs to `parts`; leave it out with `choose`")
        return self


class Corpus(Section):
    """A folder of the data folder: `train.tsv.gz`, and a file for each held-out text."""

    languages: tuple[Annotated[str, Field(min_length=2)], Annotated[str, Field(min_length=2)]] = Field(
        description="the columns of its files"
    )
    licence: str = Field(min_length=1, description="under which the texts are used")
    attribution: str = Field(min_length=1, description="whom to name, and what was changed")
    train: tuple[Part, ...] = Field((), description="what `train.tsv.gz` is made of")
    held_out: dict[Name, HeldOutFile] = Field({}, description="dev and test texts by name, such as `dev`")
    compress: bool = Field(True, description="`NAME.tsv.gz`; false: `NAME.tsv`")
    expected_pairs: dict[Name, Annotated[int, Field(ge=0)]] = Field(
        {}, description="pairs that each file had when the recipe was written; another count is told aloud"
    )

    @model_validator(mode="after")
    def _holds_something(self) -> Corpus:
        if TRAIN in self.held_out:
            raise ValueError("held_out.train: `train` is the text that is learned from; choose another name")
        if not self.train and any(one.choose is not None for one in self.held_out.values()):
            raise ValueError("`choose` chooses among the pairs of `train`, which is empty")
        if not self.file_names():
            raise ValueError("name `train`, or a text in `held_out`")
        for name in self.expected_pairs:
            if name not in self.file_names():
                raise ValueError(f"expected_pairs.{name}: the corpus has no such file")
        return self

    def file_names(self) -> list[str]:
        """`train` and the names of the held-out texts."""
        return [*([TRAIN] if self.train else []), *self.held_out]

    def file(self, name: str) -> str:
        """What a text's file is called in the corpus' folder."""
        return f"{name}.tsv.gz" if self.compress else f"{name}.tsv"

    def parts(self) -> list[Part]:
        """Everything that it is read from."""
        return [*self.train, *(part for one in self.held_out.values() for part in one.parts)]


class Sources(Section):
    """Raw files by name, and the corpora that are made of them."""

    files: dict[Name, RawFile] = Field(description="raw files, by the name that they get in the data folder")
    corpora: dict[Name, Corpus] = Field(min_length=1, description="folders of the data folder")

    @model_validator(mode="after")
    def _files_are_named(self) -> Sources:
        for name, corpus in self.corpora.items():
            for part in corpus.parts():
                for text in texts_of(part):
                    if file_of(text) not in self.files:
                        raise ValueError(
                            f"corpora.{name}: files has no {file_of(text)!r}, which {text!r} needs"
                        )
        return self


def texts_of(part: Part) -> tuple[str, ...]:
    """The texts that a part is read from."""
    return part.texts if isinstance(part, (ParallelLines, Dialogues, Questions)) else (part.text,)


def file_of(text: str) -> str:
    """The raw file of a text."""
    return text.partition("/")[0]


def members_of(text: str) -> str | None:
    """The pattern of a text that is inside an archive; None where the raw file is the text."""
    return text.partition("/")[2] or None


def together(sections: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Several `sources` sections, by the name of their file, as one.

    Raises `RecipeError` for a raw file or a corpus that two of them describe differently.
    """
    joined, origin = dict[str, Any](), dict[tuple[str, str], str]()
    for file, section in sections.items():
        for part, entries in section.items():
            if not isinstance(entries, dict) or not isinstance(joined.setdefault(part, {}), dict):
                joined[part] = entries  # a fault that is told with all others
                continue
            for name, entry in entries.items():
                first = origin.setdefault((part, name), file)
                if joined[part].setdefault(name, entry) != entry:
                    fault = f"must be the same in {first} and {file}, or have two names"
                    raise RecipeError(f"sources.{part}.{name} {fault}")
    return joined


def with_paths_from(folder: PurePosixPath, section: dict[str, Any]) -> dict[str, Any]:
    """A `sources` section of a file in `folder`, as the recipe itself would have it."""
    files = section.get("files")
    if not isinstance(files, dict):  # a fault that is told with all others
        return section
    moved = {
        name: {**raw, "path": posixpath.normpath(folder / raw["path"])}
        for name, raw in files.items()
        if isinstance(raw, dict) and isinstance(raw.get("path"), str)
    }
    return {**section, "files": {**files, **moved}}
