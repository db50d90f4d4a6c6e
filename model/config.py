"""The shape of one network of the family: sizes and variants, checked once.

Knows: every number and switch that `Transformer` is built from. Must not know: tensors, files, languages,
decoding options.

One class describes the paper's models (Vaswani et al. 2017), Marian/OPUS-MT, M2M-100/NLLB, mBART and FSMT:
they differ in where the layer normalisation stands, in the activation, in how positions are numbered and laid
out, in which embeddings are shared, and in depth.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin, get_type_hints

Norm = Literal["post", "pre"]
Activation = Literal["relu", "gelu", "silu"]
Positions = Literal["sinusoidal", "learned"]
SinusoidLayout = Literal["interleaved", "halves", "fairseq"]


MAX_POSITIONS = 65_536  # a table of positions is computed, so nothing else bounds what memory it takes


class ConfigError(ValueError):
    """A field of a configuration is unknown, of the wrong type or out of bounds."""

    def __init__(self, field: str, bound: str, value: object) -> None:
        super().__init__(f"{field} must be {bound}, got {value!r}")
        self.field, self.bound, self.value = field, bound, value


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Sizes and variants of a Transformer encoder-decoder. Lengths are in tokens, `</s>` included.

    Raises `ConfigError` at construction when a value is out of its bounds.
    """

    source_vocab_size: int
    target_vocab_size: int
    d_model: int = 512
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    num_encoder_heads: int = 8
    num_decoder_heads: int = 8
    encoder_ffn_dim: int = 2048
    decoder_ffn_dim: int = 2048
    # "post": LayerNorm(x + sublayer(x)), section 3.1 of the paper; "pre": x + sublayer(LayerNorm(x)).
    norm: Norm = "post"
    final_norm: bool = False  # a layer norm after the last layer of each stack (pre-norm wants it)
    embedding_norm: bool = False  # a layer norm on the embedded input (mBART)
    activation: Activation = "relu"
    positions: Positions = "sinusoidal"
    sinusoid_layout: SinusoidLayout = "interleaved"
    position_offset: int = 0  # number of the first position (fairseq models count from padding_idx + 1)
    max_source_length: int = 512
    max_target_length: int = 512
    share_embeddings: bool = True  # source and target read one table
    tie_output: bool = True  # the output projection is the target embedding table (section 3.4)
    scale_embeddings: bool = True  # multiply embeddings by sqrt(d_model) (section 3.4)
    output_bias: bool = False
    alignment_layer: int = (
        -1
    )  # decoder layer whose cross-attention, over all heads, aligns words; -1: the last
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    pad_id: int = 0
    eos_id: int = 3
    decoder_start_id: int = 2

    def __post_init__(self) -> None:
        self._check_types()
        self._check_bounds()
        self._check_relations()

    def _check_types(self) -> None:
        for name, wanted in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(wanted) is Literal:
                if value not in get_args(wanted):
                    raise ConfigError(name, f"one of {', '.join(get_args(wanted))}", value)
            elif wanted is float:
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ConfigError(name, "a number", value)
            elif type(value) is not wanted:  # not isinstance: True would pass for the integer 1
                raise ConfigError(name, {int: "an integer", bool: "true or false"}[wanted], value)

    def _check_bounds(self) -> None:
        at_least_one = (
            "source_vocab_size target_vocab_size d_model num_encoder_layers num_decoder_layers "
            "num_encoder_heads num_decoder_heads encoder_ffn_dim decoder_ffn_dim "
            "max_source_length max_target_length"
        )
        for name in at_least_one.split():
            if getattr(self, name) < 1:
                raise ConfigError(name, "at least 1", getattr(self, name))
        for name in ("max_source_length", "max_target_length", "position_offset"):
            if getattr(self, name) > MAX_POSITIONS:
                raise ConfigError(name, f"at most {MAX_POSITIONS}", getattr(self, name))
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(name, "at least 0 and below 1", getattr(self, name))
        if not -self.num_decoder_layers <= self.alignment_layer < self.num_decoder_layers:
            bound = f"in {-self.num_decoder_layers}..{self.num_decoder_layers - 1}"
            raise ConfigError("alignment_layer", bound, self.alignment_layer)
        if self.position_offset < 0:
            raise ConfigError("position_offset", "at least 0", self.position_offset)

    def _check_relations(self) -> None:
        for name in ("num_encoder_heads", "num_decoder_heads"):
            if self.d_model % getattr(self, name):
                raise ConfigError(name, f"a divisor of d_model {self.d_model}", getattr(self, name))
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ConfigError("d_model", "even with sinusoidal positions", self.d_model)
        if self.share_embeddings and self.source_vocab_size != self.target_vocab_size:
            bound = f"equal to source_vocab_size {self.source_vocab_size} with share_embeddings"
            raise ConfigError("target_vocab_size", bound, self.target_vocab_size)
        target_size = self.target_vocab_size
        pad_size = min(self.source_vocab_size, target_size)  # sources are padded too
        for name, size in {
            "pad_id": pad_size,
            "eos_id": target_size,
            "decoder_start_id": target_size,
        }.items():
            if not 0 <= getattr(self, name) < size:
                raise ConfigError(name, f"in 0..{size - 1}", getattr(self, name))

    def fewest_weights(self) -> int:
        """The network has at least so many: tables, attention and feed-forward, without what is small."""
        tables = self.source_vocab_size + (0 if self.share_embeddings else self.target_vocab_size)
        encoder = self.num_encoder_layers * (4 * self.d_model + 2 * self.encoder_ffn_dim)
        decoder = self.num_decoder_layers * (8 * self.d_model + 2 * self.decoder_ffn_dim)
        return self.d_model * (tables + encoder + decoder)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, one per field."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`. Raises `ConfigError` for an unknown or missing field or a bad value."""
        known = sorted(field.name for field in fields(cls))
        for name in data:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                hint = f"did you mean {near[0]}?" if near else ", ".join(known)
                raise ConfigError(name, f"one of the known fields ({hint})", data[name])
        for name in ("source_vocab_size", "target_vocab_size"):
            if name not in data:
                raise ConfigError(name, "given", None)
        return cls(**data)

    @classmethod
    def base(cls, vocab_size: int, **overrides: Any) -> ModelConfig:
        """The paper's base model (Vaswani et al. 2017, table 3): about 65 M parameters at 37k tokens."""
        return cls(source_vocab_size=vocab_size, target_vocab_size=vocab_size, **overrides)

    @classmethod
    def big(cls, vocab_size: int, **overrides: Any) -> ModelConfig:
        """The paper's big model (Vaswani et al. 2017, table 3): about 213 M parameters at 37k tokens."""
        sizes = {"d_model": 1024, "encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096}
        heads = {"num_encoder_heads": 16, "num_decoder_heads": 16, "dropout": 0.3}
        return cls(
            source_vocab_size=vocab_size, target_vocab_size=vocab_size, **{**sizes, **heads, **overrides}
        )
