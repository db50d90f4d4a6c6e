"""The model card as text, from numbers alone."""

from tests.training.runs import config
from training.evaluation import Scores
from training.model_card import Outcome, model_card
from training.state import Progress

SCORES = Scores(bleu=31.416, chrf=55.0, bleu_signature="nrefs:1|tok:13a", chrf_signature="nrefs:1|nc:6")


def card(name: str = "dev", **sections: object) -> str:
    return model_card(
        Outcome(
            config=config(**sections),
            progress=Progress(step=4800, epoch=1, batch=7, target_tokens=6_964_253, seconds=5143.5),
            num_parameters=9_158_144,
            num_averaged=5,
            scores=((name, 2000, SCORES),),
            cleaning="10 pairs read, 9 kept (dropped: empty 1)",
        )
    )


def test_numbers_are_written_for_readers() -> None:
    text = card()
    assert "| dev | 2,000 | 31.42 | 55.00 |" in text
    assert (
        "- 4,800 steps, 1 full epochs, 6,964,253 target tokens, 1.43 hours of training steps on cpu" in text
    )
    assert "A Transformer of 9,158,144 parameters" in text
    assert "Cleaning: 10 pairs read, 9 kept (dropped: empty 1)." in text


def test_signatures_and_the_decoding_that_was_scored_stand_beside_the_scores() -> None:
    text = card(decoding={"strategy": "beam", "beam_size": 3, "max_length": None})
    assert "- BLEU: `nrefs:1|tok:13a`" in text
    assert "- chrF: `nrefs:1|nc:6`" in text
    assert "Decoding: strategy beam, beam_size 3, num_hypotheses 1" in text
    assert "None" not in text


def test_a_text_with_a_bar_in_its_name_keeps_the_table_whole() -> None:
    assert "| a\\|b | 2,000 |" in card(name="a|b")


def test_a_recipe_that_says_nothing_of_its_data_points_to_its_settings() -> None:
    assert "- See `training.yaml`." in card()
    assert "- Tatoeba, CC BY" in card(card={"data": ["Tatoeba, CC BY"]})
