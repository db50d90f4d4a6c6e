"""`moses.json` of a bundle: both sides of a tokenizer whose words are Moses' and whose pieces are byte pairs.

Knows: the keys of that file. Must not know: other files of a bundle, how a text is cut.

    {
      "source_language": "en", "target_language": "de", "lowercase": false,
      "source": ["<s>", "<pad>", "</s>", "<unk>", ",</w>", ...],    by id
      "target": [...],                                               left out where it is the same
      "merges": ["t h", "th e</w>", ...]                             in the order of their learning
    }
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.byte_pair_merges import BytePairMerges
from model.moses_text import MosesText
from model.moses_vocabulary import MosesVocabulary
from model.vocabulary import TokenizerError

MOSES_FILE = "moses.json"
_REQUIRED = {"source_language", "target_language", "lowercase", "source", "merges"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MosesModel:
    """What the file holds. `merges` are pairs of pieces, which hold no white space."""

    source_language: str
    target_language: str
    lowercase: bool
    source: tuple[str, ...]
    target: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]

    def vocabularies(self) -> tuple[MosesVocabulary, MosesVocabulary]:
        """Source and target. Raises TokenizerError."""
        merges = BytePairMerges(self.merges)
        source = MosesText(self.source_language, lowercase=self.lowercase)
        target = MosesText(self.target_language, lowercase=self.lowercase)
        return MosesVocabulary(self.source, source, merges), MosesVocabulary(self.target, target, merges)

    def to_bytes(self) -> bytes:
        """The content of `moses.json`: a line for each list, which may be very long."""
        parts: dict[str, Any] = {
            "source_language": self.source_language,
            "target_language": self.target_language,
            "lowercase": self.lowercase,
            "source": self.source,
        }
        if self.target != self.source:
            parts["target"] = self.target
        parts["merges"] = [" ".join(pair) for pair in self.merges]
        lines = [f"{json.dumps(key)}: {json.dumps(part, ensure_ascii=False)}" for key, part in parts.items()]
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> MosesModel:
        """The inverse of `to_bytes`. Raises TokenizerError."""
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise TokenizerError(f"{MOSES_FILE}: not valid JSON: {error}") from error
        if not isinstance(content, dict) or set(content) - {"target"} != _REQUIRED:
            raise TokenizerError(f"{MOSES_FILE}: must be an object with {', '.join(sorted(_REQUIRED))}")
        _check_types(content)
        return cls(
            source_language=content["source_language"],
            target_language=content["target_language"],
            lowercase=content["lowercase"],
            source=tuple(content["source"]),
            target=tuple(content["target" if "target" in content else "source"]),
            merges=tuple(_pair(merge) for merge in content["merges"]),
        )


def _check_types(content: Mapping[str, Any]) -> None:
    for key, value in content.items():
        if key == "lowercase":
            fits, bound = isinstance(value, bool), "true or false"
        elif key.endswith("language"):
            fits, bound = isinstance(value, str) and bool(value), "a language code"
        else:
            strings = isinstance(value, list) and all(isinstance(item, str) for item in value)
            fits, bound = strings, "a list of strings"
        if not fits:
            raise TokenizerError(f"{MOSES_FILE}: {key} must be {bound}, got {value!r:.80}")


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    if not left or not right or " " in right:
        raise TokenizerError(f"{MOSES_FILE}: merges must be two pieces each, got {merge!r}")
    return left, right
