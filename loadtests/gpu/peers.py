"""Who decodes a batch in the speed leg: Verto, `generate` of transformers, CTranslate2; the last two where
they run.

Knows: how each is asked for so many tokens of each source. Must not know: clocks, reports.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from loadtests.gpu.setting import FORCED_TOKENS, Setting
from model.cuda.network import CudaNetwork
from model.decoding import DecodingOptions
from model.decoding.search import decode_batch
from model.masks import pad_batch
from model.transformer import Transformer

Tokens = tuple[int, ...]
Decode = Callable[[Sequence[Tokens], int], list[Tokens]]  # sources and the width of beams (1: greedy)


class NotHere(RuntimeError):
    """A peer that cannot be had; says why."""


def verto(model: Transformer, setting: Setting, max_rows: int) -> Decode:
    network = CudaNetwork(model, device=setting.device, dtype=torch.bfloat16, max_rows=max_rows)

    def decode(sources: Sequence[Tokens], width: int) -> list[Tokens]:
        named: dict[str, Any] = {"min_length": FORCED_TOKENS - 1, "max_length": FORCED_TOKENS}
        named |= {"beam_size": width} if width > 1 else {"strategy": "greedy"}
        options = DecodingOptions(**named)
        answers = decode_batch(network, sources, options, max_rows=width * len(sources))
        return [hypotheses[0].token_ids for hypotheses in answers]

    return decode


def generate(model: Transformer, setting: Setting, **how: Any) -> Decode:
    """Raises NotHere."""
    try:
        from loadtests.peers.generate import marian_model

        other = marian_model(model).to(device=setting.device, dtype=torch.bfloat16)
    except (ImportError, ValueError) as error:
        raise NotHere(str(error)) from error
    pad_id = model.config.pad_id

    @torch.inference_mode()
    def decode(sources: Sequence[Tokens], width: int) -> list[Tokens]:
        ids, mask = pad_batch(sources, pad_id)
        answers = other.generate(
            input_ids=ids.to(setting.device),
            attention_mask=mask.long().to(setting.device),
            num_beams=width,
            min_length=FORCED_TOKENS,
            max_length=FORCED_TOKENS + 1,
            **how,
        )
        ends = {pad_id, other.config.eos_token_id}
        return [tuple(i for i in answer if i not in ends) for answer in answers[:, 1:].tolist()]

    return decode


@contextlib.contextmanager
def ctranslate2(model: Transformer, setting: Setting) -> Iterator[Decode]:
    """In float16. It opens `libcublas.so.12`; where that is of another version, a link of that name on
    `LD_LIBRARY_PATH` may serve. Raises NotHere."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(_ctranslate2(model, setting))
        except (ImportError, RuntimeError, ValueError, OSError) as error:
            if isinstance(error, NotHere):
                raise
            raise NotHere(f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _ctranslate2(model: Transformer, setting: Setting) -> Iterator[Decode]:
    import ctranslate2 as library  # type: ignore[import-untyped]

    from loadtests.peers.ctranslate2_model import converted, token_names

    names = token_names(model.config)
    numbers = {name: number for number, name in enumerate(names)}
    kind = "float16" if setting.device.type == "cuda" else "float32"
    with converted(model, names) as folder:
        translator = library.Translator(str(folder), device=setting.device.type, compute_type=kind)

        def decode(sources: Sequence[Tokens], width: int) -> list[Tokens]:
            answers = translator.translate_batch(
                [[names[number] for number in source] for source in sources],
                beam_size=width,
                min_decoding_length=FORCED_TOKENS - 1,
                max_decoding_length=FORCED_TOKENS,
            )
            return [tuple(numbers[name] for name in answer.hypotheses[0]) for answer in answers]

        decode(((1, model.config.eos_id),), 1)  # what it lacks shows in the first call
        yield decode
