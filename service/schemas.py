"""What the native API accepts: names, types, bounds and meaning, as OpenAPI shows them.

Knows JSON and bounds; must not know models, the engine or HTTP. Whatever is not a field here is refused.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from service.jobs import MAX_ATTENTION_TOKENS

# The bounds of `model.decoding.options` and of the engine's request. A test holds them equal; they are not
# imported, since that package imports torch, and a server listens before it has loaded that.
MAX_BEAM_SIZE = 32
MAX_LENGTH_PENALTY = 5.0
MAX_COVERAGE_PENALTY = 5.0
MAX_PATIENCE = 4.0
MAX_DIVERSITY_PENALTY = 20.0
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 10.0
MAX_TOP_K = 65_536
MAX_SEED = 2**63 - 1
MIN_REPETITION_PENALTY, MAX_REPETITION_PENALTY = 0.1, 10.0
MAX_NGRAM_SIZE = 16
MAX_TOKENS = 65_536
MIN_LENGTH_RATIO, MAX_LENGTH_RATIO = 0.1, 100.0
MAX_REQUIRED_PHRASES = 8
MIN_PRIORITY, MAX_PRIORITY = -10, 10
# Bounds of the API itself.
MAX_BANNED_PHRASES = 64
MAX_PHRASE_CHARACTERS = 200
MAX_PREFIX_CHARACTERS = 10_000
MAX_TIMEOUT_MS = 86_400_000  # a day, which is also the most that a server can be set to allow

# Values of the API's design that this version does not have: refused by name, never ignored.
VALUES_NOT_SUPPORTED = {"format": frozenset({"html"})}
# Decoding options, as they are called in the request and in `DecodingOptions` alike.
OPTION_FIELDS = (
    "strategy",
    "beam_size",
    "num_hypotheses",
    "length_penalty",
    "coverage_penalty",
    "patience",
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
    "min_length",
    "max_length",
    "max_length_ratio",
)
# Decoding options that the request says in text and `DecodingOptions` in token ids.
TEXT_OPTION_FIELDS = {"prefix": "prefix_ids", "banned": "banned_ids", "required": "required_ids"}


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
Phrase = Annotated[str, Field(min_length=1, max_length=MAX_PHRASE_CHARACTERS), BeforeValidator(check_text)]
Prefix = Annotated[str, Field(max_length=MAX_PREFIX_CHARACTERS), BeforeValidator(check_text)]
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
        "lines, list marks, gaps between sentences and marks repeated at their end (`What???`) come back as "
        "they are; with `split` `lines` what "
        "stands within a line is the model's, and with `none` all that stands within the text. An empty text "
        "is answered by an empty one."
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
    stream_mode: Literal["stable", "draft"] = Field(
        "stable",
        description="`stable`: what was sent is never taken back. `draft` (with `stream` only): what leads "
        "the search is sent at once, and `revise` events take back what has changed since; where every token "
        "is certain when it is chosen, as in greedy search, there is nothing to take back.",
    )
    strategy: Literal["beam", "greedy", "sample"] | None = Field(
        None,
        description="Beam search, the likeliest token at each step, or tokens drawn at random by their "
        "probabilities; left out, the model's default.",
    )
    beam_size: int | None = Field(
        None, ge=1, le=MAX_BEAM_SIZE, description="Hypotheses kept at each step (beam only)."
    )
    num_hypotheses: int | None = Field(
        None,
        ge=1,
        le=MAX_BEAM_SIZE,
        description="Translations to answer, best first; at most `beam_size` (beam only). What several "
        "`diversity_groups` have found is answered once, so there may be fewer.",
    )
    length_penalty: float | None = Field(
        None,
        ge=0,
        le=MAX_LENGTH_PENALTY,
        description="Alpha of Wu et al. 2016, equation 14: above 0 favours longer translations (beam only).",
    )
    coverage_penalty: float | None = Field(
        None,
        ge=0,
        le=MAX_COVERAGE_PENALTY,
        description="Beta of the same equation: above 0 favours translations that attend to every source "
        "token (beam only).",
    )
    patience: float | None = Field(
        None,
        gt=0,
        le=MAX_PATIENCE,
        description="A search ends once `beam_size` times this many hypotheses are finished (beam only).",
    )
    diversity_groups: int | None = Field(
        None,
        ge=1,
        le=MAX_BEAM_SIZE,
        description="The beam is searched in so many groups, each kept from repeating those before it "
        "(Vijayakumar et al. 2018); a divisor of `beam_size` (beam only).",
    )
    diversity_penalty: float | None = Field(
        None,
        ge=0,
        le=MAX_DIVERSITY_PENALTY,
        description="Taken off a token's log-probability for each earlier group that has just chosen it; "
        "needs `diversity_groups` (beam only).",
    )
    temperature: float | None = Field(
        None,
        ge=MIN_TEMPERATURE,
        le=MAX_TEMPERATURE,
        description="Log-probabilities are divided by it: below 1 the likely tokens gain (sample only).",
    )
    top_k: int | None = Field(
        None,
        ge=0,
        le=MAX_TOP_K,
        description="Only so many of the likeliest tokens are drawn from; 0: all (sample only).",
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Only the likeliest tokens that have this probability together are drawn from "
        "(Holtzman et al. 2020; sample only).",
    )
    min_p: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Only tokens with at least this share of the likeliest one's probability are drawn from "
        "(Nguyen et al. 2024; sample only).",
    )
    epsilon: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Only tokens of at least this probability are drawn from (Hewitt et al. 2022; sample "
        "only).",
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="The same request with the same seed gets the same answer. Each segment draws with a "
        "seed of its own, made from this one and its place, so equal sentences may differ (sample only).",
    )
    repetition_penalty: float | None = Field(
        None,
        ge=MIN_REPETITION_PENALTY,
        le=MAX_REPETITION_PENALTY,
        description="Multiplies the log-probabilities of tokens that are there already: above 1 they come "
        "back less often.",
    )
    no_repeat_ngram_size: int | None = Field(
        None,
        ge=0,
        le=MAX_NGRAM_SIZE,
        description="No sequence of so many tokens stands twice in a segment; 0: any may.",
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
    prefix: Prefix | None = Field(
        None,
        description="Target text that the translation begins with, character for character, behind any "
        "layout that the text itself begins with. Only with one text; the prefix belongs to its first "
        "segment, whose translation goes on behind it, so it must not reach into that of the second "
        "sentence. It may end within a word. Without white space at its ends, and such as the model can "
        "write.",
    )
    banned: list[Phrase] | None = Field(
        None,
        max_length=MAX_BANNED_PHRASES,
        description="Target words or phrases that stand in no translation of a segment, nor in its "
        "`hypotheses`: not as whole words, in capitals or not. What passes through untranslated is not "
        "concerned, nor words of which they are a part. Each segment of a stream then comes in one piece.",
    )
    required: list[Phrase] | None = Field(
        None,
        max_length=MAX_REQUIRED_PHRASES,
        description="Target phrases that each text's translation contains, written as they are here, each at "
        "the start of a word (beam only). Only for texts that are one segment, and not together with "
        "`banned`, `no_repeat_ngram_size` or `diversity_penalty`.",
    )
    alternatives: int | None = Field(
        None,
        ge=1,
        le=MAX_BEAM_SIZE,
        description="So many ways to go on behind `prefix` (without one: to begin), the likeliest first, "
        "each completed as the request's options say. Only for one text of one segment, not in a stream.",
    )
    split: Literal["sentences", "lines", "none"] = Field(
        "sentences",
        description="What is translated at a time. A piece that is longer than the model reads is divided "
        "further, but for `none`, where it is refused.",
    )
    format: Literal["text"] = Field("text", description="Plain text.")
    return_: list[Literal["scores", "tokens", "alignment", "attention", "segments"]] = Field(
        default_factory=list,
        alias="return",
        description="`segments`: source and translation of each segment, with their places in the texts. "
        "`tokens`: the target tokens. `scores`: the target tokens with their log-probabilities. `alignment`: "
        "which words of the text the words of the translation come from. `attention`: the model's whole "
        f"cross-attention, for at most {MAX_ATTENTION_TOKENS} source tokens in all texts together.",
    )
    priority: int = Field(
        0, ge=MIN_PRIORITY, le=MAX_PRIORITY, description="A higher one counts as having come earlier."
    )
    timeout_ms: int | None = Field(
        None,
        ge=1,
        le=MAX_TIMEOUT_MS,
        description="Milliseconds after which the request ends with status 504; at most the server's "
        "`max_timeout_seconds` (600).",
    )


class DetectRequest(Schema):
    """A text or several whose language is asked for."""

    text: TextOrTexts = Field(description="A text, or an array of texts.", examples=["Guten Morgen!"])
