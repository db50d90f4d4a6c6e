"""What the native API answers: names, types and meaning, as OpenAPI shows them.

Knows JSON; must not know models, the engine or HTTP. What was not asked for is left out of an answer.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field


def _optional(**extra: Any) -> Any:
    """A field that is left out of the answer when it was not asked for."""
    return Field(default=None, exclude_if=lambda value: value is None, **extra)


class TokenAnswer(BaseModel):
    segment_index: int
    token: str = Field(description="As the vocabulary writes it; `▁` marks the start of a word.")
    log_prob: float | None = _optional(description="Natural logarithm of its probability; with `scores`.")


class AlignmentAnswer(BaseModel):
    """A word of the translation and the word of the text that it comes from."""

    source_span: tuple[int, int] = Field(description="Start and end in the source text, in code points.")
    target_span: tuple[int, int] = Field(description="Start and end in the translation, in code points.")
    weight: float = Field(description="The source word's share of the target word's attention, 0 to 1.")


class AttentionAnswer(BaseModel):
    segment_index: int
    source_tokens: list[str] = Field(description="As the vocabulary writes them, the end mark among them.")
    target_tokens: list[str] = Field(description="Likewise; without an end mark where a limit cut it short.")
    values: list[list[list[list[float]]]] = Field(
        description="By decoder layer, head, target token and source token, rounded to 4 digits: what was "
        "attended to when the target token was predicted."
    )


class AlternativeAnswer(BaseModel):
    """One way to go on behind the prefix."""

    next: str = Field(
        description="What the next token adds to the text; empty for the end of the segment, and for a token "
        "that spells nothing by itself, as one byte of a character."
    )
    token: str = Field(description="The token as the vocabulary writes it; `</s>` is the end.")
    log_prob: float = Field(description="Natural logarithm of its probability behind the prefix.")
    text: str = Field(description="The whole translation that goes on this way, layout included.")
    score: float | None
    finish_reason: Literal["stop", "length"]


class HypothesisAnswer(BaseModel):
    text: str
    score: float | None
    finish_reason: Literal["stop", "length"]


class SegmentAnswer(BaseModel):
    source: str = Field(description="The piece of the text, without layout.")
    text: str = Field(description="Its translation, without layout.")
    score: float | None
    finish_reason: Literal["stop", "length"]
    source_span: tuple[int, int] = Field(description="Start and end in the source text, in code points.")
    target_span: tuple[int, int] = Field(description="Start and end in the translation, in code points.")
    hypotheses: list[HypothesisAnswer] | None = _optional()


class TranslationAnswer(BaseModel):
    text: str
    score: float | None = Field(
        description="Mean over segments of the length-normalised log-probability; null: nothing to translate."
    )
    finish_reason: Literal["stop", "length"] = Field(
        description="`length` when a limit cut at least one segment short."
    )
    detected_source: str | None = _optional(description="The detected language, when `source` was left out.")
    model: str | None = _optional(description="Only when the texts of one request needed different models.")
    hypotheses: list[HypothesisAnswer] | None = _optional(
        description="With `num_hypotheses` above 1: the best translations of the whole text, best first."
    )
    segments: list[SegmentAnswer] | None = _optional(description="With `return: segments`.")
    tokens: list[TokenAnswer] | None = _optional(description="With `return: tokens` or `scores`.")
    alignment: list[AlignmentAnswer] | None = _optional(
        description="With `return: alignment`: one entry for each word of the translation, in its order."
    )
    attention: list[AttentionAnswer] | None = _optional(
        description="With `return: attention`: one entry for each segment that was translated."
    )
    alternatives: list[AlternativeAnswer] | None = _optional(
        description="With `alternatives`: the likeliest next token first."
    )


class UsageAnswer(BaseModel):
    source_tokens: int = Field(description="End marks not counted.")
    target_tokens: int = Field(description="End marks not counted; of the best translations.")
    characters: int = Field(description="Code points of all texts.")


class TimingsAnswer(BaseModel):
    """Milliseconds since the request had been read; null where nothing was translated."""

    queue_ms: float | None = Field(description="Until the first segment left the queue.")
    first_token_ms: float | None = Field(description="Until the first token of any segment.")
    total_ms: float = Field(description="Until the last segment was finished.")


class TranslateAnswer(BaseModel):
    id: str
    model: str | None = Field(description="Null when the texts needed different models.")
    source: str | None = Field(description="Null when the texts are in different languages.")
    target: str | None
    translations: list[TranslationAnswer]
    usage: UsageAnswer
    timings: TimingsAnswer


class LanguageShare(BaseModel):
    language: str
    confidence: float = Field(description="Share of certainty among the languages considered, 0 to 1.")


class DetectionAnswer(BaseModel):
    language: str | None = Field(description="Null for a text without letters.")
    confidence: float
    alternatives: list[LanguageShare] = Field(description="The next likeliest.")


class DetectAnswer(BaseModel):
    detections: list[DetectionAnswer]


class LanguageProduct(BaseModel):
    """Each of the sources is translated into each of the targets but itself."""

    sources: list[str]
    targets: list[str]


class ModelAnswer(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When the bundle was written, in seconds since 1970.")
    owned_by: str = "verto"
    directions: list[tuple[str, str]] | LanguageProduct = Field(
        description="Pairs of source and target; of a many-to-many model its sources and its targets."
    )
    version: str
    dtype: str = Field(description="Numbers of its matrix products: float32, bfloat16, int8.")
    device: str
    path: str = Field(description="What computes them at present: native kernels, or eager (PyTorch).")


class ModelsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class LanguageAnswer(BaseModel):
    code: str
    name: str = Field(description="In English.")
    own_name: str = Field(description="In the language itself.")
    targets: list[str] = Field(description="Languages that it can be translated into.")


class LanguagesAnswer(BaseModel):
    languages: list[LanguageAnswer]


class HealthAnswer(BaseModel):
    status: Literal["ok"] = "ok"


class FieldFaultAnswer(BaseModel):
    field: str
    bound: str = Field(description="What the field must be.")
    value: Any = Field(description="What came, shortened.")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable: programs may rely on it.")
    request_id: str
    errors: list[FieldFaultAnswer] | None = None
    retry_after_seconds: int | None = None
