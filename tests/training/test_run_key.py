"""Which setting a run cannot go on with, in words that fit on a line."""

from tests.training.runs import config
from training.run_key import other_setting


def test_a_list_that_is_too_long_to_find_the_change_in_is_only_named() -> None:
    texts = [{"tsv": f"corpus-{number}/train.tsv"} for number in range(9)]
    dev = [{"tsv": "dev.tsv"}]
    before = config(data={"train": texts, "dev": dev})
    now = config(data={"train": texts[1:], "dev": dev})
    assert other_setting(before, now) == "data.train is not what it was"
    assert other_setting(before, before) is None
