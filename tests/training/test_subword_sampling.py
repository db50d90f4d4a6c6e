"""Texts in new pieces each time: the same text, decided by seed, epoch and choice, never too long."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.tokenizer import Tokenizer
from tests.builders import dictionary_tokenizer, tiny_sentences, tiny_tokenizer
from tests.training.runs import config, pairs, prepared
from training.batching import EncodedCorpus, make_batch
from training.data_config import SubwordSamplingConfig
from training.distributed import World
from training.encoding import encode_pairs
from training.errors import RecipeError
from training.mixing import Mixture
from training.ragged import Ragged
from training.stream import BatchStream, Place
from training.subword_sampling import SubwordSampler, sampled_sides
from training.tokenizer_training import TokenizerKind, train_tokenizer

ROOT = Path(__file__).resolve().parents[2]
COUNT = 12
ROWS = np.arange(COUNT, dtype=np.uint32)


@functools.cache
def tokenizer_of(kind: TokenizerKind) -> Tokenizer:
    return Tokenizer.from_bytes(train_tokenizer(tiny_sentences(300), vocab_size=420, kind=kind))


def corpus(
    tokenizer: Tokenizer, max_tokens: int = 64, seed: int = 1, count: int = COUNT, **settings: Any
) -> EncodedCorpus:
    config = SubwordSamplingConfig(**{"alpha": 0.3, **settings})
    plain = encode_pairs(tokenizer, pairs(count), max_tokens)
    texts = {
        side: Ragged.from_lists([getattr(pair, side).encode() for pair in pairs(count)], np.uint8)
        for side in sampled_sides(config)
    }
    sampler = SubwordSampler(tokenizer, config, texts, max_tokens, seed)
    return EncodedCorpus(plain.source, plain.target, sampler=sampler)


def drawn(made: EncodedCorpus, rows: Any = ROWS, epoch: int = 0) -> list[list[int]]:
    assert made.sampler is not None
    found = made.sampler.draw("source", made.source, rows, epoch)
    return [found[i].tolist() for i in range(len(found))]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_other_pieces_spell_the_same_text(kind: TokenizerKind) -> None:
    tokenizer = tokenizer_of(kind)
    made = corpus(tokenizer)
    found = drawn(made)
    assert [tokenizer.decode_target(ids) for ids in found] == [pair.source for pair in pairs(COUNT)]
    assert all(ids[-1] == tokenizer.eos_id for ids in found)
    assert found != [made.source[i].tolist() for i in range(COUNT)]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_seed_epoch_and_place_decide(kind: TokenizerKind) -> None:
    """So a run that is resumed, or shared among processes, sees the same."""
    made = corpus(tokenizer_of(kind))
    first = drawn(made)
    drawn(made, ROWS[:3], epoch=7)  # nothing is left behind by a draw
    assert drawn(made) == first
    assert drawn(corpus(tokenizer_of(kind))) == first
    assert drawn(made, epoch=1) != first
    assert drawn(corpus(tokenizer_of(kind), seed=2)) != first
    assert drawn(made, ROWS[::-1]) == first[::-1]
    assert drawn(made, ROWS[4:6]) == first[4:6]


def test_equal_texts_and_both_sides_are_drawn_apart() -> None:
    made = corpus(tokenizer_of("bpe"), sides="both", count=1)
    text = made.source
    texts = Ragged.from_lists([pairs(1)[0].source.encode()] * 20, np.uint8)
    plain = Ragged.from_lists([text[0].tolist()] * 20)
    settings = SubwordSamplingConfig(alpha=0.3, sides="both")
    sampler = SubwordSampler(tokenizer_of("bpe"), settings, {"source": texts, "target": texts}, 64, 1)
    rows = np.arange(20)
    source, target = sampler.draw("source", plain, rows, 0), sampler.draw("target", plain, rows, 0)
    assert len({tuple(source[i].tolist()) for i in range(20)}) > 3
    assert source.values.tolist() != target.values.tolist()


def test_a_pair_that_an_epoch_repeats_is_split_anew_each_time() -> None:
    """Without a mixture a pair stands in an epoch once, and the batch's number decides nothing."""
    mixed = dataclasses.replace(plain := corpus(tokenizer_of("bpe")), mixture=Mixture((COUNT,), 2.0))
    rows = np.asarray([3] * 10)

    def splits(made: EncodedCorpus, number: int) -> list[list[int]]:
        return make_batch(made, rows, pad_id=0, decoder_start_id=2, number=number).source_ids.tolist()

    assert len({tuple(ids) for number in (0, 1) for ids in splits(mixed, number)}) > 5
    assert splits(mixed, 1) == splits(mixed, 1) != splits(mixed, 0)
    assert splits(plain, 1) == splits(plain, 0)
    assert len({tuple(ids) for ids in splits(plain, 0)}) == 1


DRAW = """
import json, sys
import numpy as np
from pathlib import Path
from model.tokenizer import Tokenizer
from training.data_config import SubwordSamplingConfig
from training.ragged import Ragged
from training.subword_sampling import SubwordSampler

texts = json.loads(sys.stdin.read())
for name in sys.argv[1:]:
    tokenizer = Tokenizer.from_bytes(Path(name).read_bytes())
    plain = Ragged.from_lists(tokenizer.encode_sources(texts))
    stored = {"source": Ragged.from_lists([text.encode() for text in texts], np.uint8)}
    sampler = SubwordSampler(tokenizer, SubwordSamplingConfig(alpha=0.3), stored, 64, 1)
    found = sampler.draw("source", plain, np.arange(len(texts)), 0)
    print([found[i].tolist() for i in range(len(found))])
"""


def test_another_process_draws_the_same(tmp_path: Path) -> None:
    kinds: tuple[TokenizerKind, ...] = ("unigram", "bpe")
    names = [str(tmp_path / kind) for kind in kinds]
    for kind, name in zip(kinds, names, strict=True):
        Path(name).write_bytes(tokenizer_of(kind).files()["tokenizer.model"])
    found = subprocess.run(
        [sys.executable, "-c", DRAW, *names],
        input=json.dumps([pair.source for pair in pairs(COUNT)]),
        env={**os.environ, "PYTHONHASHSEED": "7"},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert [json.loads(line) for line in found.stdout.splitlines()] == [
        drawn(corpus(tokenizer_of(kind))) for kind in kinds
    ]


def mean_length(kind: TokenizerKind, alpha: float) -> float:
    made = corpus(tokenizer_of(kind), alpha=alpha, max_tokens=200)
    return sum(len(ids) for epoch in range(20) for ids in drawn(made, epoch=epoch)) / (20 * COUNT)


def test_alpha_leaves_out_more_merges_and_is_bolder_near_zero() -> None:
    merged = [mean_length("bpe", alpha) for alpha in (0.1, 0.3, 0.6, 1.0)]
    assert merged == sorted(merged)
    assert merged[-1] == sum(len(pair.source) + 2 for pair in pairs(COUNT)) / COUNT, "characters alone"
    likely = [mean_length("unigram", alpha) for alpha in (1.0, 0.5, 0.1, 0.01)]
    assert likely == sorted(likely)


def test_a_split_that_is_too_long_is_not_taken() -> None:
    tokenizer = tokenizer_of("bpe")
    made = corpus(tokenizer, alpha=1.0)
    limit = max(len(made.source[i]) for i in range(COUNT))
    found = drawn(corpus(tokenizer, limit, alpha=1.0))
    plain = [made.source[i].tolist() for i in range(COUNT)]
    assert all(len(ids) <= limit for ids in found)
    assert any(ids == wanted for ids, wanted in zip(found, plain, strict=True))


def test_what_tells_the_direction_stays_before_a_new_split_and_is_counted() -> None:
    tokenizer, tag = tokenizer_of("bpe"), 7
    made, settings = corpus(tokenizer, alpha=0.5), SubwordSamplingConfig(alpha=0.5)
    told = Ragged.from_lists([[tag, *made.source[i].tolist()] for i in range(COUNT)])
    texts = {"source": Ragged.from_lists([pair.source.encode() for pair in pairs(COUNT)], np.uint8)}
    unlimited = SubwordSampler(tokenizer, settings, texts, 64, 1, num_tags=1).draw("source", told, ROWS, 0)
    assert [unlimited[i].tolist() for i in range(COUNT)] == [[tag, *ids] for ids in drawn(made)]
    limit = int(unlimited.lengths.max()) - 1
    limited = SubwordSampler(tokenizer, settings, texts, limit, 1, num_tags=1).draw("source", told, ROWS, 0)
    for i in range(COUNT):
        fits = len(unlimited[i]) <= limit
        assert limited[i].tolist() == (unlimited if fits else told)[i].tolist()


@pytest.mark.parametrize(
    ("sides", "sampled"),
    [("source", ("source",)), ("target", ("target",)), ("both", ("source", "target"))],
)
def test_batches_have_new_pieces_on_the_chosen_sides(sides: str, sampled: tuple[str, ...]) -> None:
    made = corpus(tiny_tokenizer(), sides=sides)
    plain = EncodedCorpus(made.source, made.target)
    one, other = (make_batch(which, ROWS, 0, 2, epoch=3) for which in (made, plain))
    assert ("source" in sampled) == (one.source_ids.tolist() != other.source_ids.tolist())
    assert ("target" in sampled) == (one.target_output.tolist() != other.target_output.tolist())
    assert one.num_target_tokens == int(one.target_output.ne(0).sum())
    assert one.source_mask.sum() == one.source_ids.ne(0).sum()


def test_without_alpha_nothing_is_sampled() -> None:
    assert sampled_sides(SubwordSamplingConfig()) == ()


def test_a_dictionary_vocabulary_cannot_be_sampled() -> None:
    with pytest.raises(RecipeError, match=r"data\.subword_sampling\.alpha must be left out"):
        SubwordSampler(dictionary_tokenizer(), SubwordSamplingConfig(alpha=0.1), {}, 64, 1)


def streamed(
    max_tokens: int,
    start: Place,
    world: World,
    steps: int,
    count: int = COUNT,
    mixture: Mixture | None = None,
) -> dict[Place, list[list[int]]]:
    """The sources of a process's batches by their place, without padding."""
    settings = config(batch={"max_tokens": max_tokens, "batches_per_update": 2})
    train = dataclasses.replace(corpus(tiny_tokenizer(), count=count), mixture=mixture)
    data = dataclasses.replace(prepared(settings), train=train)
    shares = islice(BatchStream(settings, data, world).shares(start), steps)
    batches = {place: batch.source_ids for share in shares for place, batch in share.batches}
    return {place: [row[row != 0].tolist() for row in rows] for place, rows in batches.items()}


# Two corpora, of which an epoch holds the second one's pair many times.
REPEATING = Mixture((COUNT - 1, 1), 100.0)


def test_a_run_sees_new_pieces_of_a_pair_that_an_epoch_repeats() -> None:
    """In each batch where it comes first, also when a run goes on from the midst of an epoch."""
    batches = streamed(16, Place(0, 0), World(), 4, mixture=REPEATING)
    text, firsts = pairs(COUNT)[-1].source, [rows[0] for place, rows in batches.items() if not place.epoch]
    again = [ids for ids in firsts if tiny_tokenizer().decode_target(ids) == text]
    assert len(again) > 2
    assert len(set(map(tuple, again))) > 1
    resumed = streamed(16, Place(0, 2), World(), 2, mixture=REPEATING)
    assert resumed == {place: batches[place] for place in resumed}


def test_a_run_sees_new_pieces_in_each_epoch() -> None:
    """Of one pair, so that nothing but the epoch is another."""
    seen = [ids for (ids,) in streamed(100, Place(0, 0), World(), 5, count=1).values()]
    assert len(seen) == 10
    assert len(set(map(tuple, seen))) > 3
    assert {tiny_tokenizer().decode_target(ids) for ids in seen} == {pairs(1)[0].source}


def test_a_resumed_run_and_one_of_several_processes_see_the_same_pieces() -> None:
    alone = streamed(100, Place(0, 0), World(), 12)
    resumed = streamed(100, Place(0, 2), World(), 3)
    assert resumed == {place: alone[place] for place in resumed}
    for rank in (0, 1):
        shared = streamed(100, Place(0, 0), World(rank, 2), 6)
        assert shared == {place: alone[place] for place in shared}
