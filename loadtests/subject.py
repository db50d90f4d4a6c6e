"""What is measured: a bundle in memory, and sentences as its token ids.

Knows: bundles, tokenizers. Must not know: engines, HTTP, reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from loadtests.workload import Workload
from model.checkpoint import Bundle, load_bundle

SHIPPED = Path(__file__).resolve().parents[1] / "checkpoints" / "en-de"


@dataclass(frozen=True, slots=True)
class Subject:
    """A network, and `source_ids` of the sentences of `workload`, in its order."""

    bundle: Bundle
    workload: Workload
    source_ids: tuple[tuple[int, ...], ...]


def subject(folder: Path, workload: Workload, num_threads: int) -> Subject:
    """In float32 on the CPU. Sentences that are longer than the model reads are left out."""
    torch.set_num_threads(num_threads)
    bundle = load_bundle(folder)
    encoded = bundle.tokenizer.encode_sources(workload.sentences)
    fits = [i for i, ids in enumerate(encoded) if len(ids) <= bundle.config.max_source_length]
    sentences = tuple(workload.sentences[i] for i in fits)
    references = tuple(workload.references[i] for i in fits) if workload.references else ()
    kept = replace(workload, sentences=sentences, references=references)
    return Subject(bundle, kept, tuple(tuple(encoded[i]) for i in fits))


def target_texts(bundle: Bundle, answers: Sequence[Sequence[int]]) -> list[str]:
    return [bundle.tokenizer.decode_target(token_ids) for token_ids in answers]
