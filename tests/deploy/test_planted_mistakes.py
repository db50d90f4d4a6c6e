"""A mistake in a manifest is found, by the rule that is there for it: else rules might find nothing, ever."""

import pytest

from tests.deploy.checks import STAGES, faults
from tests.deploy.mistakes import Mistake
from tests.deploy.planted import MISTAKES
from tests.deploy.rendering import kustomize_fault, render


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        pytest.param(rule, mistake, id=f"{rule}-{mistake.name.replace(' ', '-')}")
        for rule, mistakes in MISTAKES.items()
        for mistake in mistakes
    ],
)
def test_a_planted_mistake_is_found_by_its_rule(rule: str, mistake: Mistake) -> None:
    found = faults(mistake.planted())
    assert any(one.startswith(f"{rule}: ") and mistake.says in one for one in found), found


def test_every_rule_has_a_mistake_that_it_finds() -> None:
    assert MISTAKES.keys() == {rule.__name__ for stage in STAGES for rule in stage}


def test_two_autoscalers_are_found() -> None:
    scalers = [one for one in render("cpu", "hpa") if one["kind"] == "HorizontalPodAutoscaler"]
    found = faults([*render("cpu", "keda"), *scalers])
    assert found == ["autoscalers_decide: Deployment/verto: two autoscalers"]


def test_two_autoscalers_do_not_even_render() -> None:
    assert "replicas" in kustomize_fault("cpu", "hpa", "keda")


def test_two_places_of_models_are_found() -> None:
    found = faults(render("cpu", "model-volume", "model-image"))
    assert found == ["volumes_exist: Deployment/verto: volume models has 2 sources"]
