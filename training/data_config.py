"""Where a run's text comes from, and what is done to it before the network sees it. Frozen and checked.

Knows: the settings of corpora, cleaning, made-up data and vocabulary, each with its meaning, unit and bounds.
Must not know: the settings of network and optimisation, files' contents.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.placeholders import MAX_PLACEHOLDERS
from training.script_check import Script

# Most words of one pair that augmentation puts behind placeholder symbols; one more may stand at the end.
MAX_REPLACED_WORDS = 3


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, given: Any) -> Any:
        """YAML reads `yes` and `on` as true, which Python counts as 1."""
        for name, field in cls.model_fields.items() if isinstance(given, dict) else ():
            is_number = {int, float} & {field.annotation, *get_args(field.annotation)}
            if is_number and isinstance(given.get(name), bool):
                raise ValueError(f"{name} must be a number, got {str(given[name]).lower()}")
        return given


class ParallelText(Section):
    """A TSV (source and target columns), or two files with equal line counts. `.gz` is read."""

    tsv: str | None = Field(None, description="path of a tab-separated file; `.gz` is read")
    columns: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        (0, 1), description="columns of source and target in the TSV, counted from 0"
    )
    source: str | None = Field(None, description="path of the source side, one sentence a line")
    target: str | None = Field(None, description="path of the target side, as many lines")
    direction: tuple[str, str] | None = Field(
        None, description="its `[source, target]`, needed where `directions` has several"
    )

    @model_validator(mode="after")
    def _one_form(self) -> ParallelText:
        two_files = self.source is not None and self.target is not None
        if (self.tsv is not None) == two_files or (self.source is None) != (self.target is None):
            raise ValueError("name either `tsv`, or both `source` and `target`")
        if two_files and "columns" in self.model_fields_set:
            raise ValueError("`columns` belongs to `tsv`; leave it out with `source` and `target`")
        return self

    def paths(self) -> list[str]:
        """The files as the recipe names them."""
        return [path for path in (self.tsv, self.source, self.target) if path is not None]


class CorpusFile(ParallelText):
    repeat: int = Field(1, ge=1, le=100, description="times each pair is seen per epoch (1 in `dev`)")
    tag: str | None = Field(
        None,
        pattern=r"^<[A-Za-z0-9_-]{1,20}>$",
        description="such as `<BT>`: a piece that stands before each source, for what a model wrote",
    )


class HeldOutText(ParallelText):
    name: str = Field(min_length=1, description="what the model card calls it")


class AugmentationConfig(Section):
    """Shares of the training pairs that are varied, each copy of a repeated corpus with its own draw."""

    placeholders: float = Field(
        0.0, ge=0, le=1, description="words that both sides have become a symbol on both, to be copied"
    )
    numbers: float = Field(0.0, ge=0, le=1, description="numbers that both sides have become others")
    names: float = Field(0.0, ge=0, le=1, description="a name that both sides have becomes a made-up one")
    lower_case: float = Field(0.0, ge=0, le=0.5, description="the source loses its capitals")
    upper_case: float = Field(0.0, ge=0, le=0.5, description="both sides are in capitals")
    no_final_stop: float = Field(0.0, ge=0, le=1, description="both sides lose their final stop")
    joined: float = Field(
        0.0, ge=0, le=1, description="up to three other pairs of the file come after it, for longer texts"
    )


class SubwordSamplingConfig(Section):
    """Another split of a text into pieces each time that it is seen (Kudo 2018; Provilkov et al. 2020)."""

    alpha: float | None = Field(
        None,
        gt=0,
        le=1,
        description="`bpe`: share of merges left out; `unigram`: exponent of probabilities, bolder near 0",
    )
    sides: Literal["source", "target", "both"] = Field("source", description="which sides are split anew")


class DataConfig(Section):
    train: tuple[CorpusFile, ...] = Field(min_length=1, description="the texts that the model learns from")
    dev: tuple[CorpusFile, ...] = Field(min_length=1, description="held-out text, scored during the run")
    max_characters: int = Field(500, ge=1, description="a pair with a longer side is dropped")
    max_length_ratio: float = Field(
        3.0, ge=1, description="characters of the longer over the shorter side; sides under 20 are exempt"
    )
    max_tokens: int = Field(
        128, ge=4, description="tokens per side, `</s>` included; longer pairs are dropped"
    )
    drop_identical: bool = Field(True, description="drop pairs with equal sides of more than 3 words")
    drop_duplicates: bool = Field(True, description="drop exact repetitions of a pair in the training files")
    scripts: tuple[Script, Script] | dict[str, Script] | None = Field(
        None,
        description="what source and target are written in, such as `[Latin, Cyrillic]`, or each language, "
        "such as `{en: Latin, uk: Cyrillic}`; see above",
    )
    min_script_share: float = Field(
        0.5, gt=0, le=1, description="a pair with a smaller share of letters of its script is dropped"
    )
    min_language_probability: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="a pair with a side that is less likely in its language is dropped; 0.05 is a good bound",
    )
    temperature: float = Field(
        1.0, ge=1, le=100, description="above 1 small corpora weigh more: shares become share^(1/temperature)"
    )
    subword_sampling: SubwordSamplingConfig = SubwordSamplingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()

    @model_validator(mode="after")
    def _dev_is_read_as_it_stands(self) -> DataConfig:
        for index, corpus in enumerate(self.dev):
            if corpus.repeat != 1:
                raise ValueError(f"dev.{index}.repeat must be 1, got {corpus.repeat}")
            if corpus.tag is not None:
                raise ValueError(f"dev.{index}.tag must be left out, got {corpus.tag}")
        return self

    def tags(self) -> tuple[str, ...]:
        """Those of the training files, each once, in the order of the files."""
        return tuple(dict.fromkeys(corpus.tag for corpus in self.train if corpus.tag is not None))

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> DataConfig:
        """Values at their defaults may stand: a resolved recipe has them all."""
        if self.scripts is None and self.min_script_share != 0.5:
            raise ValueError(
                f"min_script_share belongs to `scripts`, got {self.min_script_share} without them"
            )
        if self.subword_sampling.alpha is None and self.subword_sampling.sides != "source":
            sides = self.subword_sampling.sides
            raise ValueError(f"subword_sampling.sides belongs to its `alpha`, got {sides} without it")
        return self


class GenerateConfig(Section):
    """Made-up pairs, written to `generated/` in the run folder, where the recipe's file names then start."""

    kind: Literal["digit-reversal"] = Field(description="digit words, and the same words backwards")
    train_pairs: int = Field(10_000, ge=1, description="pairs in `train.tsv`")
    held_out_pairs: int = Field(500, ge=1, description="pairs in `dev.tsv`, and in `test.tsv`")
    min_words: int = Field(3, ge=1, description="words of the shortest sequence")
    max_words: int = Field(8, ge=1, le=100, description="words of the longest sequence")
    seed: int = Field(1, ge=0, description="another seed gives other pairs")

    @model_validator(mode="after")
    def _enough_sequences(self) -> GenerateConfig:
        if self.max_words < self.min_words:
            raise ValueError(f"max_words must be at least min_words {self.min_words}, got {self.max_words}")
        wanted = self.train_pairs + 2 * self.held_out_pairs
        existing = sum(10**length for length in range(self.min_words, self.max_words + 1))
        if 2 * wanted > existing:  # distinct ones are drawn by chance, so there must be plenty
            raise ValueError(
                f"max_words must be larger for {wanted:,} distinct sequences, got {self.max_words}"
            )
        return self


class TokenizerConfig(Section):
    kind: Literal["unigram", "bpe"] = Field("unigram", description="how SentencePiece learns the pieces")
    vocab_size: int = Field(8000, ge=300, le=256_000, description="pieces, 256 single bytes among them")
    joint: bool = Field(True, description="one vocabulary for both languages")
    placeholders: int = Field(
        0,
        ge=0,
        le=MAX_PLACEHOLDERS,
        description="pieces at the vocabulary's end that stand for what is copied",
    )
    spell_copies_below: int = Field(
        0,
        ge=0,
        description="words that both sides have alike and fewer times are spelled by smaller pieces",
    )

    @model_validator(mode="after")
    def _alike_in_one_vocabulary(self) -> TokenizerConfig:
        if self.spell_copies_below and not self.joint:
            raise ValueError(f"spell_copies_below must be 0 with joint: false, got {self.spell_copies_below}")
        return self
