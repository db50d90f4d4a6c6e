"""How often each decoder layer's attention links a word that is the same in both languages to itself.

    python scripts/alignment_agreement.py checkpoints/en-de test.tsv.gz

Names, numbers and borrowed words that stand once in a sentence and once, spelled alike, in its reference
translation align themselves: nobody has to do it by hand. One line for each layer: words linked rightly.
"""

import argparse
import gzip
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from model.alignment import cross_attention
from model.checkpoint import Bundle, load_bundle
from service.word_alignment import word_pairs, words_of

# Of both languages, with different meanings or none of their own.
NOT_NAMES = {"in", "war", "die", "also"}


def shared_words(source: str, target: str) -> set[str]:
    counts = [Counter(text[start:end] for start, end in words_of(text)) for text in (source, target)]
    once = [{word for word, count in one.items() if count == 1} for one in counts]
    return {
        word for word in once[0] & once[1] if word.isdigit() or (word.isalpha() and len(word) > 1)
    } - NOT_NAMES


def right_links(bundle: Bundle, source: str, target: str, words: set[str]) -> list[int]:
    """By layer, how many of these words are linked to themselves."""
    source_ids, target_ids = bundle.tokenizer.encode_source(source), bundle.tokenizer.encode_target(target)
    attention = cross_attention(bundle.model, source_ids, target_ids).numpy()
    return [
        sum(
            source[slice(*pair.source_span)] == target[slice(*pair.target_span)]
            for pair in word_pairs(bundle.tokenizer, source, target_ids[:-1], attention, layer)
            if target[slice(*pair.target_span)] in words
        )
        for layer in range(len(attention))
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    bundle, every, right = load_bundle(given.bundle), 0, Counter[int]()
    remaining = given.sentences
    with gzip.open(given.test, "rt", encoding="utf-8") as lines, torch.inference_mode():
        for line in lines:
            source, target = line.rstrip("\n").split("\t")[:2]
            if not remaining or not (words := shared_words(source, target)):
                continue
            remaining -= 1
            every += len(words)
            right.update(dict(enumerate(right_links(bundle, source, target, words))))
    for layer, count in sorted(right.items()):
        sys.stdout.write(f"layer {layer}: {count} of {every} ({count / every:.1%})\n")


def _parser() -> argparse.ArgumentParser:
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("bundle", type=Path, help="folder of a bundle")
    parser.add_argument("test", type=Path, help="gzipped TSV of sources and references")
    parser.add_argument("sentences", type=int, nargs="?", default=800, help="so many of them (default: 800)")
    return parser


if __name__ == "__main__":
    main()
