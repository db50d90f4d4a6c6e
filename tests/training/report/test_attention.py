"""Which sentences are pictured, and that a picture shows every token and every share."""

import re
import xml.etree.ElementTree as ElementTree

from training.report.attention_maps import AttentionMap, choose_pictured
from training.report.attention_picture import attention_picture, every_head

VALUES = [
    [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]],
    [[[0.5, 0.5], [0.0, 1.0]], [[0.25, 0.75], [1.0, 0.0]]],
]
MAP = AttentionMap(["▁<a>", "</s>"], ["▁猫", "</s>"], VALUES, 1)


def test_the_mean_is_of_the_heads_of_the_aligning_layer() -> None:
    assert MAP.mean_of_heads() == [[0.375, 0.625], [0.5, 0.5]]


def test_a_picture_has_a_cell_for_each_pair_and_every_token_as_text() -> None:
    drawn = ElementTree.fromstring(attention_picture(MAP))
    assert [node.text for node in drawn.iter("text")] == ["▁<a>", "</s>", "▁猫", "</s>"]
    cells = list(drawn.iter("rect"))
    assert [cell.get("fill-opacity") for cell in cells] == ["0.38", "0.62", "0.50", "0.50"]
    assert [title.text for title in drawn.iter("title")][1] == "▁猫 at </s>: 0.62"
    assert drawn.get("aria-label") == "looked most:  猫 at </s>, </s> at  <a>"


def test_every_head_of_every_layer_is_there() -> None:
    labels = re.findall(r'aria-label="([^"]*)"', every_head(MAP))
    assert labels == [f"layer {layer}, head {head}" for layer in (1, 2) for head in (1, 2)]


def test_pictured_sentences_go_from_bad_to_good() -> None:
    sources = [f"this is sentence {n}" for n in range(9)]
    scores = [float(90 - 10 * n) for n in range(9)]
    assert choose_pictured(sources, scores, 3) == [7, 4, 1]


def test_what_makes_no_picture_is_not_chosen() -> None:
    sources = ["Hi there", "x " * 80, "a good short one", "a good short one", "猫が好きです"]
    assert choose_pictured(sources, [0.0, 0.0, 2.0, 1.0, 3.0], 5) == [2, 4]
    assert choose_pictured(["Hi"], [1.0], 3) == [0]
    assert choose_pictured(["Hi you"], [1.0], 3) == []
    assert choose_pictured(["", " ", "*** 12", "猫が好きです"], [0.0, 0.0, 0.0, 1.0], 1) == [3]


def test_a_map_without_target_tokens_is_drawn_too() -> None:
    ElementTree.fromstring(attention_picture(AttentionMap(["a"], [], [[[]]], 0)))


def test_square_letters_have_room_beside_and_above_the_cells() -> None:
    token = "▁国际货币基"
    drawn = ElementTree.fromstring(attention_picture(AttentionMap([token], [token], [[[[1.0]]]], 0)))
    first_cell = next(drawn.iter("rect"))
    needed = 5 * 12 + 7  # at a font size of 12
    assert min(float(first_cell.get("x", 0)), float(first_cell.get("y", 0))) - 6 >= needed
