"""What serves runs with the serving lock alone, and the command starts without what it does not need."""

import json
import subprocess
import sys

import pytest

from tests.contracts.import_graph import module_name
from tests.contracts.import_rules import ONLY_WITH_TRITON
from tests.contracts.project import ROOT, distributions_of, installed_imports, locked, sources

# Imports the given modules as if nothing in `hidden` were installed; prints what was loaded.
_PROGRAM = """
import importlib, json, sys

hidden, modules = map(set, json.loads(sys.argv[1]))

class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r} in a serving environment", name=name)

sys.meta_path.insert(0, Hidden)
for module in sorted(modules):
    importlib.import_module(module)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(modules: list[str], hidden: list[str]) -> set[str]:
    """The top-level names that a fresh Python holds after importing `modules`."""
    command = [sys.executable, "-W", "error", "-c", _PROGRAM, json.dumps([hidden, modules])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def names_of_development() -> list[str]:
    """Top-level imports that only the development environment provides, and the packages it alone has."""
    serving, everything = set(locked("requirements.lock")), set(locked("requirements-dev.lock"))
    extra = everything - serving
    names = [name for name in installed_imports() if distributions_of(name) <= extra]
    return [*names, "training", "loadtests"]


def test_the_hidden_names_are_those_of_training_and_of_the_tools() -> None:
    hidden = set(names_of_development())
    assert {"sacrebleu", "tensorboard", "locust", "yaml", "pytest", "httpx", "training"} <= hidden
    assert not {"torch", "numpy", "fastapi", "sentencepiece", "setuptools"} & hidden


def test_every_module_that_serves_imports_with_the_serving_lock_alone() -> None:
    names = set(map(module_name, sources())) - ONLY_WITH_TRITON
    modules = [name for name in names if name.partition(".")[0] in ("model", "service", "cli")]
    assert "torch" in loaded_by(modules, names_of_development())


def test_a_module_that_needs_more_is_caught() -> None:
    with pytest.raises(AssertionError, match="No module named 'training' in a serving environment"):
        loaded_by(["training"], names_of_development())
    with pytest.raises(AssertionError, match="No module named 'yaml' in a serving environment"):
        loaded_by(["yaml"], names_of_development())


def test_the_process_that_answers_requests_leaves_torch_to_the_engines() -> None:
    modules = ["cli.serve", "service.app", "service.loading", "service.serving", "service.translator"]
    assert {"fastapi", "sentencepiece"} <= (loaded := loaded_by(modules, []))
    assert not {"torch", "safetensors"} & loaded


def test_the_command_answers_without_loading_torch_or_the_server() -> None:
    assert not {"torch", "numpy", "fastapi", "model", "service", "training"} & loaded_by(["cli.main"], [])
