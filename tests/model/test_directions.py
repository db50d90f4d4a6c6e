"""Directions told one by one, and as a product: the same pairs, whatever asks for them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import ConfigError
from model.directions import Directions

CODES = st.lists(st.sampled_from(["en", "de", "fr", "pt-BR", "zho_Hans"]), min_size=1, unique=True)


@given(CODES, CODES)
def test_a_product_is_what_its_pairs_listed_one_by_one_are(sources: list[str], targets: list[str]) -> None:
    pairs = [(source, target) for source in sources for target in targets if source != target]
    if not pairs:
        return
    product, listed = Directions.product(sources, targets), Directions(pairs)
    assert list(product) == list(listed) == pairs
    assert len(product) == len(listed) == len(pairs)
    assert (product[0], product[1:]) == (pairs[0], tuple(pairs[1:]))
    for source in [*sources, *targets, "xx"]:
        assert product.targets_of(source) == listed.targets_of(source)
        assert all(((source, target) in product) == ((source, target) in pairs) for target in targets)
    assert product == tuple(pairs)
    assert ("en", "en") not in product
    assert "en" not in product


@pytest.mark.parametrize("made", [Directions([("en", "de"), ("de", "en")]), Directions.product("ab", "bc")])
def test_its_form_in_json_is_read_back(made: Directions) -> None:
    read = Directions.from_json(json.loads(json.dumps(made.to_json())))
    assert read == made
    assert (read.is_product, hash(read)) == (made.is_product, hash(made))


def test_two_hundred_languages_take_two_lists() -> None:
    codes = [f"l{number}" for number in range(200)]
    many = Directions.product(codes, codes)
    assert len(many) == 200 * 199
    assert many.to_json() == {"sources": codes, "targets": codes}


@pytest.mark.parametrize(
    ("sources", "targets", "named"),
    [
        ([], ["de"], "directions.sources"),
        (["en"], ["de", "de"], "directions.targets"),
        (["en"], ["en"], "directions.targets must be another language than 'en'"),
        (["e n"], ["de"], "directions must be pairs of language codes"),
    ],
)
def test_a_product_of_nothing_is_refused(sources: list[str], targets: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Directions.product(sources, targets)
