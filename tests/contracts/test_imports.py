"""The arrows between the packages hold, and the checker that says so catches each kind of wrong import."""

from itertools import pairwise

import pytest

from tests.contracts.import_rules import violations
from tests.contracts.project import sources


def test_every_import_of_the_project_follows_the_arrows() -> None:
    assert violations(sources()) == []


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("model/a.py", "import training.loss", "model must not import training.loss"),
        ("model/a.py", "from service import engine", "model must not import service.engine"),
        ("model/a.py", "def f():\n    import cli.main", "model must not import cli.main"),
        ("model/a.py", "from tests.builders import tiny", "model must not import tests.builders.tiny"),
        ("model/a.py", "import yaml", "model must not import yaml"),
        ("model/a.py", "import fastapi", "model must not import fastapi"),
        ("training/a.py", "import service.app", "training must not import service.app"),
        ("training/a.py", "from cli import main", "training must not import cli.main"),
        ("service/a.py", "from training.loss import f", "service must not import training.loss.f"),
        (
            "service/a.py",
            "class A:\n    def f(self):\n        import training",
            "service must not import training",
        ),
        ("service/a.py", "if TYPE_CHECKING:\n    import training", "service must not import training"),
        (
            "service/a.py",
            "try:\n    import training\nexcept ImportError:\n    pass",
            "must not import training",
        ),
        (
            "service/a.py",
            "import importlib\nimportlib.import_module('training.loss')",
            "must not import training.loss",
        ),
        ("service/a.py", "__import__('training')", "must not import training"),
        ("service/a.py", "print(__import__('training'))", "must not import training"),
        ("service/a.py", "import importlib\nimportlib.import_module(name)", "cannot be checked"),
        ("service/a.py", "import sacrebleu", "imports sacrebleu, which is not a runtime dependency"),
        ("service/a.py", "import yaml", "imports yaml, which is not a runtime dependency"),
        ("training/a.py", "import pytest", "imports pytest, which is not a runtime or training dependency"),
        (
            "cli/a.py",
            "import matplotlib.pyplot",
            "imports matplotlib, which is not a runtime or hub dependency",
        ),
        ("cli/a.py", "from tests import fakes", "cli must not import tests.fakes"),
        ("training/a.py", "import loadtests.report", "training must not import loadtests.report"),
        ("service/a.py", "from loadtests import report", "service must not import loadtests.report"),
        ("loadtests/a.py", "import cli.main", "loadtests must not import cli.main"),
        ("loadtests/a.py", "from tests import builders", "loadtests must not import tests.builders"),
        ("loadtests/a.py", "import pytest", "imports pytest, which is not a runtime or training or loadtest"),
    ],
)
def test_a_wrong_arrow_is_caught(path: str, text: str, fault: str) -> None:
    assert any(fault in line for line in violations({path: text})), violations({path: text})


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("service/engine/a.py", "import fastapi", "the engine must not know fastapi"),
        (
            "service/engine/a.py",
            "from starlette.responses import Response",
            "the engine must not know starlette",
        ),
        ("service/engine/a.py", "import prometheus_client", "the engine must not know prometheus_client"),
        ("service/engine/a.py", "from http import HTTPStatus", "the engine must not know http"),
        ("service/engine/a.py", "from service.errors import E", "must not import service.errors.E"),
        ("service/engine/a.py", "from ..errors import E", "must not import service.errors.E"),
        ("service/engine/a.py", "from .. import errors", "must not import service.errors"),
        ("service/engine/__init__.py", "from service import settings", "must not import service.settings"),
        ("service/engine/__init__.py", "from .. import settings", "must not import service.settings"),
        ("service/engine/scheduler.py", "import torch", "holds no tensors"),
        ("service/engine/waiting_queue.py", "def f():\n    from torch import Tensor", "holds no tensors"),
        ("service/engine/waiting_queue.py", "import numpy as np", "holds no tensors"),
    ],
)
def test_an_engine_that_knows_too_much_is_caught(path: str, text: str, fault: str) -> None:
    assert any(fault in line for line in violations({path: text})), violations({path: text})


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['A']",
        "import os as o\no.getenv('A')",
        "import os\nos.environb",
        "from os import environ",
        "from os import getenv as g",
        "from pydantic_settings import BaseSettings",
        "import pydantic_settings.sources",
        "import typer\ntyper.Option(envvar='A')",
    ],
)
def test_the_environment_is_read_by_the_settings_alone(text: str) -> None:
    for elsewhere in (
        "model/a.py",
        "training/a.py",
        "service/a.py",
        "service/engine/settings.py",
        "cli/a.py",
    ):
        assert any("reads the environment" in line for line in violations({elsewhere: text}))
    assert violations({"service/settings.py": text}) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"model/a.py": "import model.b", "model/b.py": "import model.a"},
        {"model/a.py": "from model import b", "model/b.py": "from model.a import thing"},
        {"model/a.py": "from . import b", "model/b.py": "def f():\n    from .a import thing"},
        {"model/a.py": "import model.b", "model/b.py": "import model.c", "model/c.py": "import model.a"},
        {"model/__init__.py": "from model.a import f", "model/a.py": "from model import g"},
        {
            "model/a.py": "if TYPE_CHECKING:\n    pass\nelse:\n    import model.b",
            "model/b.py": "import model.a",
        },
    ],
)
def test_an_import_cycle_is_caught(sources: dict[str, str]) -> None:
    assert any("import cycle: " in line for line in violations(sources))


def test_a_cycle_is_told_in_the_direction_of_its_imports() -> None:
    found = violations(
        {"model/a.py": "import model.b", "model/b.py": "import model.c", "model/c.py": "import model.a"}
    )
    steps = found[0].removeprefix("import cycle: ").split(" -> ")
    assert steps[0] == steps[-1]
    assert set(pairwise(steps)) == {
        ("model.a", "model.b"),
        ("model.b", "model.c"),
        ("model.c", "model.a"),
    }


@pytest.mark.parametrize(
    "sources",
    [
        {
            "training/a.py": "import model.b\nimport yaml, torch, json",
            "model/b.py": "import numpy, safetensors",
        },
        {"service/a.py": "from model import b\nimport fastapi\nimport prometheus_client", "model/b.py": ""},
        {"cli/a.py": "def run():\n    import training.t, service.s", "training/t.py": "", "service/s.py": ""},
        {"cli/a.py": "import importlib\nimportlib.import_module(f'cli.{name}')"},
        {
            "service/engine/a.py": "from service.engine import b\nimport torch",
            "service/engine/b.py": "import model",
        },
        {"service/engine/a.py": "from . import b", "service/engine/b.py": ""},
        {"service/app.py": "from .engine import a", "service/engine/a.py": ""},
        {"model/a.py": "if TYPE_CHECKING:\n    from model.b import B", "model/b.py": "from model.a import A"},
        {"model/a.py": "import os\nos.path.join('a', 'b')"},
        {"loadtests/a.py": "from loadtests.peers import b\nimport model, service, sacrebleu, ctranslate2"},
    ],
)
def test_an_allowed_import_passes(sources: dict[str, str]) -> None:
    assert violations(sources) == []
