"""Quantities are read as Kubernetes reads them."""

import pytest

from tests.deploy.rules.quantities import amount


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("2", 2),
        (3, 3),
        ("500m", 0.5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("2Gi", 2 * 1024**3),
        ("512Mi", 512 * 1024**2),
        ("1k", 1000),
        ("1G", 1e9),
        ("1E", 1e18),
        ("1e3", 1000),
        ("12E2", 1200),
    ],
)
def test_a_quantity_is_its_number(quantity: object, number: float) -> None:
    assert amount(quantity) == pytest.approx(number)


@pytest.mark.parametrize("quantity", ["2GB", "lots", "", "1 Gi", "1gi", "1K", "Gi", "1.2.3", None, True])
def test_what_is_no_quantity_is_refused(quantity: object) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        amount(quantity)
