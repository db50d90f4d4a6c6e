"""The same bundle in Verto, CTranslate2 and transformers: which answers are equal, and why others are not.

`python -m loadtests.ctranslate2_agreement --sentences test.tsv.gz`. Knows: exports, the two peers' options,
scores of a finished translation. Must not know: engines, HTTP.

The bundle goes the way of any user: `verto export --format marian-hf`, CTranslate2's own converter,
transformers' AutoModel. All in float32, on one processor.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import ctranslate2  # type: ignore[import-untyped]
import torch
import transformers
import typer

from loadtests.entry import run_program
from loadtests.machine import run_facts
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.subject import SHIPPED, Subject, subject
from loadtests.workload import workload
from model.decoding import DecodingOptions
from model.decoding.scoring import length_penalty
from model.decoding.search import decode_batch
from model.exporters.marian_hf import export_marian_hf
from model.masks import pad_batch

NEAR = 1e-3  # two sums of log-probabilities that float32 may put in either order
ALMOST_NONE = 1e-7  # a length penalty that changes no score, and yet is not CTranslate2's special case 0
BATCH = 25

Answers = list[tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One way to search in both: `theirs` are the peer's options, `alpha` and `exponent` the penalties."""

    title: str
    peer: str
    ours: DecodingOptions
    theirs: dict[str, Any]
    alpha: float = 0.0  # sum / ((5 + n) / 6)^alpha
    exponent: float = 0.0  # sum / n^exponent


_GREEDY = DecodingOptions(strategy="greedy")
_SUMS = DecodingOptions(beam_size=4, length_penalty=0.0)
_PENALISED = DecodingOptions(beam_size=4, length_penalty=1.0)
_CT2_SUMS = {"beam_size": 4, "length_penalty": ALMOST_NONE}

COMPARISONS = (
    Comparison(title="greedy", peer="CTranslate2", ours=_GREEDY, theirs={"beam_size": 1}),
    Comparison(title="beam 4, plain sums", peer="CTranslate2", ours=_SUMS, theirs=_CT2_SUMS),
    Comparison(
        title="beam 4, plain sums, its special case of length_penalty 0",
        peer="CTranslate2",
        ours=_SUMS,
        theirs={"beam_size": 4, "length_penalty": 0.0},
    ),
    Comparison(
        title="beam 4, each with its own length penalty of 1",
        peer="CTranslate2",
        ours=_PENALISED,
        theirs={"beam_size": 4, "length_penalty": 1.0},
        alpha=1.0,
        exponent=1.0,
    ),
    Comparison(title="greedy", peer="transformers", ours=_GREEDY, theirs={"num_beams": 1}),
    Comparison(
        title="beam 4, plain sums",
        peer="transformers",
        ours=_SUMS,
        theirs={"num_beams": 4, "length_penalty": 0.0, "early_stopping": True},
    ),
)


class Peers:
    """Both peers with the exported bundle."""

    def __init__(self, what: Subject, folder: Path) -> None:
        bundle = what.bundle
        self._what = what
        export_marian_hf(
            folder / "hf", model=bundle.model, tokenizer=bundle.tokenizer, info=bundle.info, model_card=""
        )
        self._id_of: dict[str, int] = json.loads((folder / "hf" / "vocab.json").read_bytes())
        messages: Any = transformers.logging
        messages.set_verbosity_error()
        messages.disable_progress_bar()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a package that this tokenizer recommends
            converter = ctranslate2.converters.TransformersConverter(str(folder / "hf"))
            converter.convert(str(folder / "ct2"))
        self._translator = ctranslate2.Translator(
            str(folder / "ct2"), compute_type="float32", inter_threads=1, intra_threads=1
        )
        self._generator = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder / "hf").eval()

    def answers(self, comparison: Comparison) -> Answers:
        if comparison.peer == "CTranslate2":
            return self._translate(comparison.theirs)
        return self._generate(comparison.theirs)

    def _translate(self, options: dict[str, Any]) -> Answers:
        tokenizer = self._what.bundle.tokenizer
        limit = self._what.bundle.config.max_target_length
        results = self._translator.translate_batch(
            [tokenizer.source_pieces(ids) for ids in self._what.source_ids],
            max_decoding_length=limit,
            max_batch_size=BATCH,
            **options,
        )
        return [tuple(self._id_of[piece] for piece in result.hypotheses[0]) for result in results]

    @torch.no_grad()
    def _generate(self, options: dict[str, Any]) -> Answers:
        config, found = self._what.bundle.config, Answers()
        for start in range(0, len(self._what.source_ids), BATCH):
            ids, mask = pad_batch(self._what.source_ids[start : start + BATCH], config.pad_id)
            limit = config.max_target_length
            rows = self._generator.generate(
                input_ids=ids, attention_mask=mask.long(), max_length=None, max_new_tokens=limit, **options
            )
            found += [_until(row[1:], config.eos_id) for row in rows.tolist()]
        return found


def _until(token_ids: Sequence[int], eos_id: int) -> tuple[int, ...]:
    return tuple(token_ids[: token_ids.index(eos_id)] if eos_id in token_ids else token_ids)


def our_answers(what: Subject, options: DecodingOptions) -> Answers:
    found = decode_batch(what.bundle.model, what.source_ids, options, max_rows=64)
    return [hypotheses[0].token_ids for hypotheses in found]


def explained(what: Subject, comparison: Comparison, ours: Answers, theirs: Answers) -> list[dict[str, Any]]:
    """Each sentence whose answers differ, by its number: sums and lengths of both answers, and why."""
    cases = []
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one == other:
            continue
        sums = [log_prob(what, index, answer) for answer in (one, other)]
        lengths = [len(one) + 1, len(other) + 1]
        reason = _reason(comparison, sums, lengths)
        cases.append({"sentence": index, "sums": sums, "lengths": lengths, "reason": reason})
    return cases


def _reason(comparison: Comparison, sums: Sequence[float], lengths: Sequence[int]) -> str:
    own = [s / length_penalty(n, comparison.alpha) for s, n in zip(sums, lengths, strict=True)]
    its = [s / n**comparison.exponent for s, n in zip(sums, lengths, strict=True)]
    if abs(sums[0] - sums[1]) < NEAR:
        return "a tie within float32"
    if own[0] >= own[1] and its[1] >= its[0]:
        return "each is the better one by its own formula of the length penalty"
    if own[1] > own[0]:
        return "the peer went on and found a better one after ours had as many ended as beams"
    return "ours went on and found a better one after the peer had stopped"


@torch.no_grad()
def log_prob(what: Subject, index: int, answer: Sequence[int]) -> float:
    """The sum of log-probabilities of the answer and its `</s>`."""
    config = what.bundle.config
    source = torch.tensor([what.source_ids[index]])
    target = torch.tensor([[config.decoder_start_id, *answer][: config.max_target_length]])
    logits = what.bundle.model(source, torch.ones_like(source, dtype=torch.bool), target)
    log_probs = logits[0].double().log_softmax(-1)
    wanted = torch.tensor([*answer, config.eos_id])[: config.max_target_length]
    return float(log_probs[torch.arange(len(wanted)), wanted].sum())


def compare(what: Subject, peers: Peers, say: Callable[[str], None]) -> list[dict[str, Any]]:
    cache: dict[DecodingOptions, Answers] = {}
    lines = []
    for comparison in COMPARISONS:
        say(f"{comparison.peer}: {comparison.title}")
        if comparison.ours not in cache:
            cache[comparison.ours] = our_answers(what, comparison.ours)
        ours, theirs = cache[comparison.ours], peers.answers(comparison)
        cases = explained(what, comparison, ours, theirs)
        lines.append({
            "peer": comparison.peer,
            "search": comparison.title,
            "our_options": comparison.ours.to_dict(),
            "peer_options": comparison.theirs,
            "sentences": len(ours),
            "equal": len(ours) - len(cases),
            "cases": cases,
        })  # fmt: skip
    return lines


def figures(lines: Sequence[dict[str, Any]]) -> Figures:
    rows = []
    for line in lines:
        reasons = Counter(case["reason"] for case in line["cases"])
        why = "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common())
        share = f"{100 * line['equal'] / line['sentences']:.1f} %"
        rows.append(
            [line["peer"], line["search"], f"{line['equal']} of {line['sentences']}", share, why or "-"]
        )
    return Figures("Equal answers", ["peer", "search", "equal", "share", "why the others differ"], rows)


NOTES = (
    "Float32 everywhere; an answer counts as equal when every token is. The bundle reaches both peers by "
    "`verto export --format marian-hf`, CTranslate2 by its own converter.",
    "Scores of finished hypotheses: ours sum / ((5 + n) / 6)^alpha (Wu et al. 2016), both peers' sum / n^p; "
    "they agree where both are plain sums. Stopping: ours, and that of transformers with early_stopping, "
    "once as many hypotheses have ended as the beam is wide; CTranslate2's too, except with a length_penalty "
    f"of exactly 0, where it stops once the best candidate of a step ends. {ALMOST_NONE:g} leaves sums as "
    "they are and avoids that exception.",
)


def main(
    limit: Annotated[int, typer.Option(help="Sentences.")] = 500,
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle to compare.")] = SHIPPED,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Translate the same sentences with Verto, CTranslate2 and transformers, and compare token by token."""
    what = subject(bundle, workload(sentences, limit), 1)
    with tempfile.TemporaryDirectory() as folder:
        lines = compare(what, Peers(what, Path(folder)), typer.echo)
    facts = run_facts(1) | {
        "ctranslate2": ctranslate2.__version__,
        "transformers": transformers.__version__,
        "bundle": what.bundle.info.name,
        "workload": what.workload.name,
    }
    title = "The same answers as CTranslate2 and transformers"
    report = Report("ctranslate2-agreement", title, facts, [figures(lines)], {"lines": lines}, NOTES)
    publish(report, results)


if __name__ == "__main__":
    run_program(main)
