"""The benchmark of training steps: what sides train on, how they are paced, what their times come to."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest
import torch
import typer

from loadtests.training_speed.__main__ import main, peer_versions
from loadtests.training_speed.pace import Took
from loadtests.training_speed.sides import JOEY, VERTO, SideFailed, sides
from loadtests.training_speed.table import Cell, speed_table
from loadtests.training_speed.task import Task, made_up_pairs, make_task, renumbering


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = tmp_path_factory.mktemp("task")
    return make_task(folder, "tiny", "float32", max_tokens=200, num_batches=3, threads=1)


def test_sentences_of_a_pair_are_about_as_long_and_the_same_every_time() -> None:
    lines = list(islice(made_up_pairs(random.Random(1)), 500))
    assert lines == list(islice(made_up_pairs(random.Random(1)), 500))
    lengths = [tuple(len(side.split()) for side in line.split("\t")) for line in lines]
    assert all(1 <= length <= 40 for pair in lengths for length in pair)
    assert sum(max(pair) <= 1.5 * min(pair) + 1 for pair in lengths) > 450


def test_batches_are_read_as_they_were_made(task: Task) -> None:
    pad, end = task.network["pad_id"], task.network["eos_id"]
    for batch in Task.load(task.folder).batches:
        real = batch.target_output != pad
        assert batch.num_target_tokens == int(real.sum())
        assert batch.source_ids.numel() <= 200
        assert torch.equal(batch.target_input[:, 1:][real[:, 1:]], batch.target_output[:, :-1][real[:, 1:]])
        assert int((batch.target_output == end).sum()) == len(batch.target_output)


def test_verto_trains_on_the_batches_that_its_peers_get_and_ends_when_it_is_left(task: Task) -> None:
    tokens = [batch.num_target_tokens for batch in task.batches]
    with sides([VERTO], task.folder, None) as (verto,):
        first, rest = verto.go(1), verto.go(2)
    assert (first.steps, rest.steps) == (1, 2)
    assert (first.tokens, rest.tokens) == (tokens[0], tokens[1] + tokens[2])
    assert rest.processor_seconds > 0
    assert rest.peak_bytes > 2**20
    assert verto._process.poll() is not None


def test_a_side_that_cannot_start_says_why(task: Task, tmp_path: Path) -> None:
    with (
        pytest.raises(SideFailed, match=r"(?s)Joey NMT ended.*joeynmt"),
        sides([JOEY], task.folder, tmp_path),
    ):
        pass


def test_special_tokens_go_to_the_places_of_a_peer_and_no_two_ids_to_one() -> None:
    network = {"pad_id": 0, "decoder_start_id": 2, "eos_id": 3, "source_vocab_size": 8}
    numbers = renumbering(network, pad=1, start=2, end=3)
    assert numbers[[0, 2, 3]].tolist() == [1, 2, 3]
    assert sorted(numbers.tolist()) == list(range(8))


def test_rates_are_medians_and_a_ratio_is_one_of_neighbours_in_time() -> None:
    def took(*seconds: float) -> list[Took]:
        return [Took(1, 100, one, 2 * one, 2**20) for one in seconds]

    cell = Cell("tiny", "float32", {VERTO: took(1, 2, 4), JOEY: took(3, 4, 4)})
    assert cell.rate(VERTO) == 50
    assert cell.wall_rate(VERTO) == 25
    assert cell.ratio(JOEY) == 2
    first, second = speed_table([cell]).rows
    assert first == ["tiny", "float32", "Verto", "50", "25", "", "1 MiB"]
    assert second[5] == "2.00 times"


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"shapes": "shipped,larger"}, "--shapes takes tiny, shipped, base, got 'larger'"),
        ({"precisions": "float16"}, "--precisions takes float32, bfloat16, got 'float16'"),
        ({"names": "Verto,fairseq"}, "--sides takes Verto, Joey NMT, Trainer, got 'fairseq'"),
        ({"names": "Joey NMT"}, "--sides must have Verto"),
    ],
)
def test_what_it_does_not_know_is_refused_before_anything_starts(asked: dict[str, str], fault: str) -> None:
    given = {"shapes": "tiny", "precisions": "float32", "names": "Verto"}
    with pytest.raises(typer.BadParameter, match=fault):
        main(**{**given, **asked})


def test_versions_of_peers_are_told_wherever_they_are_installed(tmp_path: Path) -> None:
    (tmp_path / "joeynmt-2.3.0.dist-info").mkdir()
    (tmp_path / "joeynmt-2.3.0.dist-info" / "METADATA").write_text("Name: joeynmt\nVersion: 2.3.0\n")
    assert peer_versions(tmp_path)["joeynmt"] == "2.3.0"
    assert "transformers" in peer_versions(None)
