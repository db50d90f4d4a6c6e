"""How much later a streamed beam shows a token than greedy search would, in stable and in draft mode.

    python scripts/draft_lag.py checkpoints/en-de test.tsv.gz 300

Greedy search shows token t at step t. The lag of a token is the number of steps after that until it is shown
for good: in stable mode until it is certain, in a draft until the leading hypothesis shows it and no later
one takes it back. The end of a search shows all that is left.
"""

import argparse
import gzip
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch

from model.checkpoint import load_bundle
from model.decoding import target_limit
from model.decoding.search import NewSegment, Search
from model.network import EagerNetwork

AT_A_TIME = 16


@dataclass
class Shown:
    """What one segment has shown, and at which step each of its tokens came to stay."""

    token_ids: tuple[int, ...] = ()
    since: list[int] = field(default_factory=list)
    taken_back: int = 0

    def show(self, token_ids: Sequence[int], step: int) -> None:
        pairs = enumerate(zip(self.token_ids, token_ids, strict=False))
        kept = next((i for i, (a, b) in pairs if a != b), min(len(self.token_ids), len(token_ids)))
        self.taken_back += len(self.token_ids) - kept
        self.since = self.since[:kept] + [step] * (len(token_ids) - kept)
        self.token_ids = tuple(token_ids)

    @property
    def lags(self) -> list[int]:
        return [step - place for place, step in enumerate(self.since, 1)]


def decode(search: Search, segments: Sequence[NewSegment]) -> Mapping[int, Shown]:
    """All of them to their end."""
    search.join(segments)
    shown = {segment.key: Shown() for segment in segments}
    step = 0
    while search.keys:
        step += 1
        selection = search.step()
        for key, token_ids in selection.stable.items():
            shown[key].show((*shown[key].token_ids, *token_ids), step)
        for key, token_ids in selection.drafts.items():
            shown[key].show(token_ids, step)
        for key, hypotheses in selection.finished.items():
            shown[key].show(hypotheses[0].token_ids, step)
    return shown


def report(mode: str, shown: Sequence[Shown]) -> str:
    lags = [lag for one in shown for lag in one.lags]
    first = [one.since[0] for one in shown if one.since]
    ends = sum(step == one.since[-1] for one in shown for step in one.since)
    back = sum(one.taken_back for one in shown) / len(lags)
    return (
        f"{mode}: mean lag {statistics.mean(lags):.2f} steps, median {statistics.median(lags):.0f}, "
        f"first token to stay at step {statistics.mean(first):.2f}, "
        f"{ends / len(lags):.0%} with the last step, {back:.2f} taken back for each token; {len(lags)} tokens"
    )


@torch.inference_mode()
def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    bundle = load_bundle(given.bundle)
    with gzip.open(given.test, "rt", encoding="utf-8") as lines:
        texts = [line.split("\t")[0] for line in islice(lines, given.sentences)]
    sources = bundle.tokenizer.encode_sources(texts)
    options = bundle.info.decoding
    for mode in ("stable", "draft"):
        search, shown = Search(EagerNetwork(bundle.model)), list[Shown]()
        for start in range(0, len(sources), AT_A_TIME):
            segments = [
                NewSegment(
                    key, ids, options, target_limit(options, bundle.config, len(ids)), True, mode == "draft"
                )
                for key, ids in enumerate(sources[start : start + AT_A_TIME])
            ]
            shown += decode(search, segments).values()
        sys.stdout.write(report(mode, shown) + "\n")


def _parser() -> argparse.ArgumentParser:
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("bundle", type=Path, help="folder of a bundle")
    parser.add_argument("test", type=Path, help="gzipped TSV whose first column is translated")
    parser.add_argument("sentences", type=int, nargs="?", default=500, help="so many of them (default: 500)")
    return parser


if __name__ == "__main__":
    main()
