"""What the native API accepts and returns: names, types, bounds and meaning, as OpenAPI shows them.

Knows JSON and bounds; must not know models, the engine or HTTP. Whatever is not a field here is refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

# The bounds of `model.decoding.options` and of the engine's request. A test holds them equal; they are not
# imported, since that package imports torch, and a server listens before it has loaded that.
MAX_BEAM_SIZE = 32
MAX_LENGTH_PENALTY = 5.0
MAX_PATIENCE = 4.0
MAX_TOKENS = 65_536
MIN_LENGTH_RATIO, MAX_LENGTH_RATIO = 0.1, 100.0
MIN_PRIORITY, MAX_PRIORITY = -10, 10

# Fields and values of the API's design that this version does not have: refused by name, never ignored.
FIELDS_NOT_SUPPORTED = frozenset(
    {
        "coverage_penalty",
        "diversity_groups",
        "diversity_penalty",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "epsilon",
        "seed",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "prefix",
    }
)
VALUES_NOT_SUPPORTED = {
    "strategy": frozenset({"sample"}),
    "format": frozenset({"html"}),
    "return": frozenset({"alignment", "attention"}),
    "stream_mode": frozenset({"draft"}),
}
# Decoding options, as they are called in the request and in `DecodingOptions` alike.
OPTION_FIELDS = (
    "strategy",
    "beam_size",
    "num_hypotheses",
    "length_penalty",
    "patience",
    "min_length",
    "max_length",
    "max_length_ratio",
)


def check_text(value: object) -> object:
    """Refuse what is a Python string but no text: U+0000, which text files lack, and lone surrogates."""
    if not isinstance(value, str):
        return value
    if (position := value.find("\0")) >= 0:
        raise PydanticCustomError(
            "null_character", "free of U+0000, which is character {position}", {"position": position}
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PydanticCustomError(
            "lone_surrogate",
            "free of lone surrogates, as U+{code_point} at character {position}",
            {"code_point": f"{ord(value[error.start]):04X}", "position": error.start},
        ) from None
    return value


def _text_kind(value: object) -> str:
    return "array" if isinstance(value, list) else "string"


Text = Annotated[str, BeforeValidator(check_text)]
TextOrTexts = Annotated[
    Annotated[Text, Tag("string")] | Annotated[list[Text], Tag("array")], Discriminator(_text_kind)
]
LanguageCode = Annotated[str, Field(min_length=1, max_length=35), BeforeValidator(check_text)]


class Schema(BaseModel):
    """Strict: no unknown field, no text for a number, no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class TranslateRequest(Schema):
    """A text or several to translate. Only `text` is always needed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "The cat sat on the mat.", "source": "en", "target": "de"}]}
    )

    text: TextOrTexts = Field(
        description="A text, or an array of texts; order and number are kept. Line ends, indents, blank "
        "lines and gaps between sentences come back as they are. An empty text is answered by an empty one."
    )
    source: LanguageCode | None = Field(
        None,
        description="Language of the text (BCP 47; case does not matter, `de-AT` means a served `de`). "
        "Left out, it is detected for each text.",
        examples=["en"],
    )
    target: LanguageCode | None = Field(
        None,
        description="Language to translate into; may be left out when there is only one.",
        examples=["de"],
    )
    model: Annotated[str, BeforeValidator(check_text)] | None = Field(
        None, description="Name of a model in `/v1/models`; left out, the first that serves the direction."
    )
    stream: bool = Field(False, description="Answer with server-sent events while the translation is made.")
    stream_mode: Literal["stable"] = Field("stable", description="What was sent is never taken back.")
    strategy: Literal["beam", "greedy"] | None = Field(
        None, description="Beam search or the likeliest token at each step; left out, the model's default."
    )
    beam_size: int | None = Field(
        None, ge=1, le=MAX_BEAM_SIZE, description="Hypotheses kept at each step (beam only)."
    )
    num_hypotheses: int | None = Field(
        None,
        ge=1,
        le=MAX_BEAM_SIZE,
        description="Translations to answer, best first; at most `beam_size` (beam only).",
    )
    length_penalty: float | None = Field(
        None,
        ge=0,
        le=MAX_LENGTH_PENALTY,
        description="Alpha of Wu et al. 2016, equation 14: above 0 favours longer translations (beam only).",
    )
    patience: float | None = Field(
        None,
        gt=0,
        le=MAX_PATIENCE,
        description="A search ends once `beam_size` times this many hypotheses are finished (beam only).",
    )
    min_length: int | None = Field(
        None,
        ge=0,
        le=MAX_TOKENS,
        description="Target tokens that a segment has at least, its end mark not counted.",
    )
    max_length: int | None = Field(
        None,
        ge=1,
        le=MAX_TOKENS,
        description="Target tokens that a segment has at most, its end mark counted.",
    )
    max_length_ratio: float | None = Field(
        None,
        ge=MIN_LENGTH_RATIO,
        le=MAX_LENGTH_RATIO,
        description="Target tokens that a segment has at most for each of its source tokens. The "
        "smallest limit holds, the model's own included; a translation that reaches it says so: "
        "`finish_reason: length`.",
    )
    split: Literal["sentences", "lines", "none"] = Field(
        "sentences",
        description="What is translated at a time. A piece that is longer than the model reads is divided "
        "further, but for `none`, where it is refused.",
    )
    format: Literal["text"] = Field("text", description="Plain text.")
    return_: list[Literal["scores", "tokens", "segments"]] = Field(
        default_factory=list,
        alias="return",
        description="`segments`: source and translation of each segment, with their places in the texts. "
        "`tokens`: the target tokens. `scores`: the target tokens with their log-probabilities.",
    )
    priority: int = Field(
        0, ge=MIN_PRIORITY, le=MAX_PRIORITY, description="A higher one counts as having come earlier."
    )
    timeout_ms: int | None = Field(
        None, ge=1, description="Milliseconds after which the request ends with status 504."
    )


class DetectRequest(Schema):
    """A text or several whose language is asked for."""

    text: TextOrTexts = Field(description="A text, or an array of texts.", examples=["Guten Morgen!"])


def _optional(**extra: Any) -> Any:
    """A field that is left out of the answer when it was not asked for."""
    return Field(default=None, exclude_if=lambda value: value is None, **extra)


class TokenAnswer(BaseModel):
    segment_index: int
    token: str = Field(description="As the vocabulary writes it; `▁` marks the start of a word.")
    log_prob: float | None = _optional(description="Natural logarithm of its probability; with `scores`.")


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


class ModelAnswer(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When the bundle was written, in seconds since 1970.")
    owned_by: str = "verto"
    directions: list[tuple[str, str]]
    version: str
    dtype: str
    device: str


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
