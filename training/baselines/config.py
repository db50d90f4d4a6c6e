"""Which network stands in the Transformer's place, or what is taken away from it. Frozen and checked.

Knows: the settings of the section `baseline`. Must not know: tensors, the other sections of a recipe.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.data_config import Section

Part = Literal["positions", "attention-scale"]

# What of the section `model` a recurrent network has too; the rest describes a Transformer.
OF_EVERY_NETWORK = (
    "max_source_length",
    "max_target_length",
    "share_embeddings",
    "tie_output",
    "output_bias",
    "dropout",
)


class GruBaseline(Section):
    """A recurrent encoder-decoder with attention in the Transformer's place (Bahdanau et al. 2015)."""

    kind: Literal["gru"] = Field(description="a GRU encoder-decoder with Bahdanau's attention")
    embedding_size: int = Field(256, ge=1, description="width of token vectors, and of what the output reads")
    hidden_size: int = Field(
        512,
        ge=1,
        description="width of the encoder's two states, of the decoder's, and of the attention",
    )


class ReducedTransformer(Section):
    """The Transformer of the section `model` without a part of it, to see what the part is for."""

    kind: Literal["transformer"] = Field(description="the Transformer of `model`, less what `without` names")
    without: tuple[Part, ...] = Field(
        min_length=1,
        description="`positions`: nothing tells where a token stands; `attention-scale`: products of queries "
        "and keys are not divided by the square root of the heads' width",
    )


Baseline = GruBaseline | ReducedTransformer
