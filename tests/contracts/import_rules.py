"""Which import the project allows, as a function from source texts to violations.

cli  -->  training  -->  model
 | |                       ^
 | +--->  service  --------+        nobody imports cli; training and service never meet in one module
 |                                  but in loadtests, which measure the parts from inside too;
 +----->  loadtests                 only a function of cli imports those: a serving image has none
"""

import sys
from collections.abc import Iterator, Mapping

from tests.contracts.import_graph import (
    UNREADABLE,
    Import,
    environment_reads,
    find_cycle,
    module_name,
    read_imports,
)
from tests.contracts.project import direct_dependencies, distributions_of

ARROWS: dict[str, set[str]] = {
    "model": set(),
    "training": {"model"},
    "service": {"model"},
    "cli": {"model", "training", "service", "loadtests"},
    # Over HTTP they need none of these; what they measure of the engine alone and of the network they import.
    "loadtests": {"model", "training", "service"},
}
_OURS = {*ARROWS, "tests", "deploy", "scripts"}
# Declared dependencies that a package may use besides those of serving.
_GROUPS = {
    "training": ("training",),
    "cli": ("hub",),
    "loadtests": ("training", "loadtest", "peers"),
}
_MODEL_MAY_USE = {"torch", "numpy", "sacremoses", "safetensors", "sentencepiece"}
# Not ours to declare: builds of torch for a GPU bring it, and `model.cuda.choose` goes on without.
ONLY_WITH_TRITON = {f"model.cuda.{kind}_kernels" for kind in ("attend", "between", "finish")}
ONLY_WITH_TRITON |= {"training.loss_kernels"}
# A peer whose own pins contradict ours: it is installed aside, by the benchmark's `peers.txt`.
_INSTALLED_ASIDE = ("loadtests.training_speed.joey_side", "joeynmt")
# The second reads only what torchrun tells the processes that it starts.
_READ_THE_ENVIRONMENT = {"service.settings", "training.distributed"}
# The engine is driven by events in and out: neither the protocol nor who counts is its business.
_HTTP_AND_METRICS = {"fastapi", "starlette", "uvicorn", "httpx", "http", "prometheus_client"}
_WITHOUT_TENSORS = {"service.engine.waiting_queue", "service.engine.scheduler"}


def violations(sources: Mapping[str, str]) -> list[str]:
    """One line per violation, `module:line: what is wrong`. `sources`: path to text."""
    imports = read_imports(sources)
    found = [f"{item.importer}:{item.line}: {fault}" for item in imports for fault in _faults(item)]
    for path, text in sources.items():
        if (module := module_name(path)) not in _READ_THE_ENVIRONMENT:
            fault = "reads the environment; only service/settings.py does"
            found += [f"{module}:{line}: {fault}" for line in environment_reads(text)]
    cycle = find_cycle(imports, {module_name(path) for path in sources})
    return found + ([f"import cycle: {' -> '.join(cycle)}"] if cycle else [])


def _faults(item: Import) -> Iterator[str]:
    yield from _package_faults(item)
    yield from _engine_faults(item)
    yield from _dependency_faults(item)


def _package_faults(item: Import) -> Iterator[str]:
    package = item.importer.partition(".")[0]
    if item.target == UNREADABLE:
        if package != "cli":  # cli may import all of them, so it may also choose by name
            yield "imports a module whose name is computed; it cannot be checked"
    elif item.top in _OURS - {package} - ARROWS[package]:
        yield f"{package} must not import {item.target}"


def _engine_faults(item: Import) -> Iterator[str]:
    if not f"{item.importer}.".startswith("service.engine."):
        return
    if item.top in _HTTP_AND_METRICS:
        yield f"the engine must not know {item.top}"
    if item.top == "service" and not f"{item.target}.".startswith("service.engine."):
        yield f"the engine must not import {item.target}, which is outside it"
    if item.importer in _WITHOUT_TENSORS and item.top in ("torch", "numpy"):
        yield f"holds no tensors, so it must not import {item.top}"


def _dependency_faults(item: Import) -> Iterator[str]:
    package = item.importer.partition(".")[0]
    if item.target == UNREADABLE or item.top in _OURS or item.top in sys.stdlib_module_names:
        return
    if (item.importer, item.top) == _INSTALLED_ASIDE:
        return
    if item.importer in ONLY_WITH_TRITON and item.top == "triton":
        return
    if package == "model" and item.top not in _MODEL_MAY_USE:
        yield f"model must not import {item.top}; it may use {', '.join(sorted(_MODEL_MAY_USE))}"
    groups = ("runtime", *_GROUPS.get(package, ()))
    declared = {name for group in groups for name in direct_dependencies()[group]}
    if not distributions_of(item.top) & declared:
        yield f"imports {item.top}, which is not a {' or '.join(groups)} dependency in pyproject.toml"
