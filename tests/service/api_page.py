"""The tables of docs/api.md, made from the schemas. Run as a program, it writes them into the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from service.answer_schemas import (
    AlignmentAnswer,
    AlternativeAnswer,
    AttentionAnswer,
    HypothesisAnswer,
    SegmentAnswer,
    TimingsAnswer,
    TokenAnswer,
    TranslateAnswer,
    TranslationAnswer,
    UsageAnswer,
)
from service.schemas import TranslateRequest

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
TABLES: dict[str, type[BaseModel]] = {
    "request": TranslateRequest,
    "answer": TranslateAnswer,
    "translation": TranslationAnswer,
    "hypothesis": HypothesisAnswer,
    "segment": SegmentAnswer,
    "token": TokenAnswer,
    "alignment": AlignmentAnswer,
    "attention": AttentionAnswer,
    "alternative": AlternativeAnswer,
    "usage": UsageAnswer,
    "timings": TimingsAnswer,
}


def table(schema: type[BaseModel]) -> str:
    """A row for each field: name, what it may be, what it means."""
    described = schema.model_json_schema()
    rows = ["| field | values | meaning |", "|---|---|---|"]
    for name, field in described["properties"].items():
        meaning = field.get("description", "").replace("|", "\\|")
        rows.append(f"| `{name}` | {values(field, described)} | {meaning} |")
    return "\n".join(rows)


def values(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a field may be, with its bounds and its default."""
    kinds = [kind for kind in field.get("anyOf", field.get("oneOf", [field])) if kind.get("type") != "null"]
    text = " or ".join(_kind(kind, schema) for kind in kinds)
    default = field.get("default")
    if default not in (None, []):
        text += f"; `{str(default).lower() if isinstance(default, bool) else default}`"
    return text


def _kind(kind: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in kind:
        return "object"
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if "const" in kind:
        return f"`{kind['const']}`"
    if kind["type"] == "array":
        return _array(kind, schema)
    name = {"boolean": "true or false", "string": "text"}.get(kind["type"], kind["type"])
    return " ".join([name, *_bounds(kind)])


def _array(kind: dict[str, Any], schema: dict[str, Any]) -> str:
    if "prefixItems" in kind:
        return "[start, end]"
    many = f"at most {kind['maxItems']} " if "maxItems" in kind else ""
    items = _kind(kind["items"], schema)
    return f"array of {many}" + re.sub(r"^(text|object|number|integer)\b", r"\1s", items)


def _bounds(kind: dict[str, Any]) -> list[str]:
    words = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "to {}",
        "exclusiveMaximum": "below {}",
        "maxLength": "of at most {} characters",
    }
    return [phrase.format(f"{kind[name]:,}") for name, phrase in words.items() if name in kind]


def with_tables(page: str) -> str:
    """The page with each table as it should be."""
    for name, schema in TABLES.items():
        begin, end = f"<!-- table: {name} -->", "<!-- end -->"
        pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
        whole = f"{begin}\n{table(schema)}\n{end}"
        page, count = pattern.subn(lambda _, whole=whole: whole, page)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"docs/api.md has {count} tables {name}")
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
