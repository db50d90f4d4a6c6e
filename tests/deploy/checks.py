"""All rules in one list, and what they find in a rendering: `rule: object: fault`.

A rule is a function from the rendered objects to its findings, and its name is how a finding begins.
"""

from collections.abc import Callable, Iterator

from tests.deploy.rendering import Manifest
from tests.deploy.rules import (
    autoscaling,
    containers,
    life,
    network,
    pod_security,
    references,
    routes,
    settings,
)
from tests.deploy.rules.quantities import quantities_parse
from tests.deploy.schemas import objects_have_their_schema

Rule = Callable[[list[Manifest]], Iterator[str]]

# Each stage takes for granted what those before it have checked.
SHAPE: tuple[Rule, ...] = (objects_have_their_schema, quantities_parse, containers.resources_are_bounded)
SETTINGS: tuple[Rule, ...] = (settings.settings_are_valid,)
SENSE: tuple[Rule, ...] = (
    autoscaling.autoscalers_ask_for_the_backlog,
    autoscaling.autoscalers_decide,
    autoscaling.autoscalers_have_room,
    containers.images_are_pinned,
    life.a_start_is_waited_for,
    life.budgets_say_one_bound,
    life.drain_outlasts_the_longest_translation,
    life.metrics_are_scraped_where_they_are,
    life.probes_are_declared,
    life.rollout_keeps_capacity,
    network.policies_are_spelt_right,
    network.policies_name_who_may_come_in,
    pod_security.pods_are_closed,
    pod_security.pods_are_restricted,
    references.config_exists,
    references.deployments_select_their_pods,
    references.ports_exist,
    references.selectors_find_something,
    references.spread_counts_the_same_pods,
    references.volumes_exist,
    routes.clients_reach_what_is_theirs,
    routes.ways_in_lead_to_the_service,
    routes.ways_in_let_streams_through,
    settings.memory_fits,
    settings.server_listens_where_it_is_asked,
    settings.threads_fit_the_processors,
)


STAGES = (SHAPE, SETTINGS, SENSE)


def faults(objects: list[Manifest]) -> list[str]:
    """What is wrong, by the first stage that finds anything."""
    for rules in STAGES:
        if found := [f"{rule.__name__}: {fault}" for rule in rules for fault in rule(objects)]:
            return found
    return []
