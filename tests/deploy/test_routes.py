"""The addresses that the manifests are compared with are those of the app, sorted into inside and outside."""

import pytest

from tests.deploy.rules.routes import declared_paths, is_inside


def test_all_kinds_of_addresses_are_among_the_declared() -> None:
    wanted = {"/", "/v1/translate", "/web/word", "/docs", "/metrics", "/health/live", "/v1/admin/models/word"}
    assert wanted <= declared_paths()


@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/v1/admin", "/v1/admin/models/word"])
def test_an_address_for_inside_the_cluster_is_known(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize("path", ["/", "/v1/translate", "/v1/models", "/v1/administrators", "/healthy"])
def test_an_address_of_clients_is_not_taken_for_one_inside(path: str) -> None:
    assert not is_inside(path)
