"""Generated pairs: right, distinct, the same for the same seed."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from training.corpus import read_pairs
from training.data_config import CorpusFile, GenerateConfig
from training.toy import DIGITS, digit_reversal, write_generated


def settings(**values: int) -> GenerateConfig:
    return GenerateConfig(kind="digit-reversal", **{"train_pairs": 300, "held_out_pairs": 50, **values})


@given(seed=st.integers(0, 10**6), shortest=st.integers(2, 4), longest=st.integers(4, 9))
def test_every_target_is_its_source_backwards_and_stands_once(seed: int, shortest: int, longest: int) -> None:
    made = digit_reversal(settings(seed=seed, min_words=shortest, max_words=longest))
    assert {name: len(pairs) for name, pairs in made.items()} == {
        "train.tsv": 300,
        "dev.tsv": 50,
        "test.tsv": 50,
    }
    everything = [pair for pairs in made.values() for pair in pairs]
    assert len({pair.source for pair in everything}) == len(everything)
    for pair in everything:
        words = pair.source.split(" ")
        assert pair.target.split(" ") == words[::-1]
        assert set(words) <= set(DIGITS)
        assert shortest <= len(words) <= longest


def test_the_seed_decides() -> None:
    assert digit_reversal(settings(seed=4)) == digit_reversal(settings(seed=4))
    assert digit_reversal(settings(seed=4)) != digit_reversal(settings(seed=5))


def test_the_files_are_read_like_any_corpus(tmp_path: Path) -> None:
    folder = write_generated(settings(), tmp_path / "generated")
    for name, pairs in digit_reversal(settings()).items():
        assert list(read_pairs(CorpusFile(tsv=name), folder)) == pairs
    write_generated(settings(seed=9), folder)
    assert list(read_pairs(CorpusFile(tsv="dev.tsv"), folder)) == digit_reversal(settings(seed=9))["dev.tsv"]
