"""The other programs that read our folders: transformers and CTranslate2, quiet and on one thread.

Must not know: how folders are written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def quiet() -> Iterator[None]:
    """Their warnings (of a recommended package, of their own deprecations) are none of ours."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def hf_model(folder: Path) -> Any:
    """The model in eval mode, in float32."""
    with quiet():
        from transformers import AutoModelForSeq2SeqLM

        return AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()


def hf_tokenizer(folder: Path) -> Any:
    """The tokenizer that the folder names."""
    with quiet():
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder)


def hf_generate(model: Any, sources: Sequence[Sequence[int]], pad_id: int, **options: Any) -> list[list[int]]:
    """Generated ids without start, `</s>` and padding; all sources in one padded batch."""
    longest = max(map(len, sources))
    ids = torch.tensor([[*source, *[pad_id] * (longest - len(source))] for source in sources])
    mask = torch.tensor([[1] * len(source) + [0] * (longest - len(source)) for source in sources])
    with quiet(), torch.no_grad():
        answers = model.generate(input_ids=ids, attention_mask=mask, **options)
    return [_until(answer[1:], model.config.eos_token_id) for answer in answers.tolist()]


def _until(token_ids: list[int], eos_id: int) -> list[int]:
    return token_ids[: token_ids.index(eos_id)] if eos_id in token_ids else token_ids


def ct2_translator(folder: Path, destination: Path) -> Any:
    """The exported `folder`, read by CTranslate2's own converter, run in float32."""
    with quiet():
        import ctranslate2

        ctranslate2.converters.TransformersConverter(str(folder)).convert(str(destination))
    return ctranslate2.Translator(
        str(destination), device="cpu", compute_type="float32", inter_threads=1, intra_threads=1
    )
