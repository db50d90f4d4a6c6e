"""Scores are sacreBLEU's own, translations keep their order, the dev loss counts every token once."""

import random

import pytest
import sacrebleu
import torch

from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from tests.builders import TOKENIZER_VOCABULARY, tiny_model, tiny_sentences, tiny_tokenizer
from training.corpus import Pair
from training.encoding import encode_pairs
from training.evaluation import mean_loss, score, translate_sentences
from training.loss import smoothed_cross_entropy

REFERENCES = ["The cat sat on the mat.", "It is raining, isn't it?", "Zwölf Boxkämpfer jagen Viktor."]
HYPOTHESES = ["The cat sat on a mat.", "It rains, does it not?", "Zwölf Boxkämpfer jagten Viktor."]
SIZES = {"source_vocab_size": TOKENIZER_VOCABULARY, "target_vocab_size": TOKENIZER_VOCABULARY}


def test_scores_are_those_of_sacrebleu_with_its_signatures() -> None:
    found = score(HYPOTHESES, REFERENCES)
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    assert found.bleu == bleu.corpus_score(HYPOTHESES, [REFERENCES]).score
    assert found.chrf == chrf.corpus_score(HYPOTHESES, [REFERENCES]).score
    assert found.bleu == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert (found.bleu_signature, found.chrf_signature) == (
        str(bleu.get_signature()),
        str(chrf.get_signature()),
    )
    assert found.bleu_signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert found.chrf_signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_a_perfect_translation_scores_100_and_an_empty_one_0() -> None:
    assert score(REFERENCES, REFERENCES).bleu == pytest.approx(100)
    assert score(REFERENCES, REFERENCES).chrf == pytest.approx(100)
    assert score([""] * 3, REFERENCES).bleu == 0


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_counts_that_differ_or_are_none_are_refused(hypotheses: list[str], references: list[str]) -> None:
    with pytest.raises(ValueError, match=f"{len(hypotheses)} hypotheses for {len(references)} references"):
        score(hypotheses, references)


@pytest.mark.parametrize("max_batch_tokens", [1, 40, 100_000])
def test_translations_stand_in_the_order_of_their_sentences(max_batch_tokens: int) -> None:
    model, tokenizer = tiny_model(**SIZES), tiny_tokenizer()
    sentences = list(tiny_sentences(25))
    random.Random(1).shuffle(sentences)
    options = DecodingOptions(beam_size=2, max_length=8)
    finished: list[int] = []
    found = translate_sentences(model, tokenizer, sentences, options, max_batch_tokens, finished.append)
    alone = [decode_batch(model, [tokenizer.encode_source(text)], options)[0][0] for text in sentences]
    assert found == [tokenizer.decode_target(hypothesis.token_ids) for hypothesis in alone]
    assert len(set(found)) > 5
    assert sum(finished) == len(sentences)


def test_a_sentence_that_the_model_cannot_read_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match=r"must have 1\.\.64 tokens"):
        translate_sentences(tiny_model(**SIZES), tiny_tokenizer(), ["ba " * 70], DecodingOptions())


def test_nothing_in_nothing_out() -> None:
    assert translate_sentences(tiny_model(**SIZES), tiny_tokenizer(), [], DecodingOptions()) == []


@pytest.mark.parametrize("max_tokens", [30, 2000])
def test_the_mean_loss_is_per_target_token_without_smoothing_and_dropout(max_tokens: int) -> None:
    model, tokenizer = tiny_model(**SIZES, dropout=0.5).train(), tiny_tokenizer()
    pairs = [Pair(text, text[::-1]) for text in tiny_sentences(9)]
    corpus = encode_pairs(tokenizer, pairs, 64)
    random_state = torch.get_rng_state()
    found = mean_loss(model, model.config, corpus, max_tokens)
    assert model.training
    assert torch.equal(random_state, torch.get_rng_state())

    model.eval()
    total = tokens = 0.0
    for pair in pairs:
        source = torch.tensor([tokenizer.encode_source(pair.source)])
        target = torch.tensor([tokenizer.encode_target(pair.target)])
        shifted = torch.cat((torch.tensor([[tokenizer.bos_id]]), target[:, :-1]), 1)
        with torch.no_grad():
            logits = model(source, torch.ones_like(source, dtype=torch.bool), shifted)
        total += float(smoothed_cross_entropy(logits, target, tokenizer.pad_id, 0.0)) * target.numel()
        tokens += target.numel()
    assert found == pytest.approx(total / tokens, rel=1e-5)
