"""The shape of the source tree: short files, names that say one job, packages that only list their names."""

import ast
from collections.abc import Mapping

import pytest

from tests.contracts.project import ROOT, sources, text_of, tracked_files

MAX_LINES = 400
_CODE = {".py", ".sh", ".js", ".css", ".html"}


def too_long(texts: Mapping[str, str]) -> list[str]:
    """The paths of more than `MAX_LINES` lines."""
    return [path for path, text in texts.items() if len(text.splitlines()) > MAX_LINES]


def init_faults(text: str) -> list[str]:
    """What an `__init__.py` does besides listing the names it imports from its own package."""
    faults, imported, listed = [], [], []
    for position, node in enumerate(ast.parse(text).body):
        match node:
            case ast.Expr(value=ast.Constant(value=str())) if position == 0:
                pass
            case ast.ImportFrom(names=names):
                imported += [alias.asname or alias.name for alias in names]
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=elements)):
                listed += [ast.literal_eval(element) for element in elements]
            case _:
                faults.append(f"line {node.lineno} does something")
    if sorted(imported) != sorted(listed):
        faults.append("__all__ is not the list of the imported names")
    return faults


def code_files() -> dict[str, str]:
    """Path to text of everything committed that is code."""
    files = [path for path in tracked_files() if path.suffix in _CODE or path.name == "Makefile"]
    return {path.relative_to(ROOT).as_posix(): text_of(path) or "" for path in files}


def test_no_file_of_code_is_longer_than_400_lines() -> None:
    assert too_long(code_files()) == []


def test_a_long_file_is_caught() -> None:
    assert too_long({"fits.py": "x\n" * MAX_LINES, "long.py": "x\n" * (MAX_LINES + 1)}) == ["long.py"]


def test_every_file_is_named_for_its_one_job() -> None:
    assert [path for path in code_files() if path.rpartition("/")[2] in ("utils.py", "util.py")] == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.rpartition("/")[0] for path in sources()}
    assert [folder for folder in folders if f"{folder}/__init__.py" not in sources()] == []


def test_every_init_only_lists_names() -> None:
    inits = {path: text for path, text in code_files().items() if path.endswith("__init__.py")}
    assert {path: faults for path, text in inits.items() if (faults := init_faults(text))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import torch",
        "from model.config import ModelConfig",
        "from model.config import ModelConfig\n__all__ = ['ModelConfig', 'Other']",
        "LIMIT = 3",
        "def f(): ...",
        "print('loaded')",
        "if True:\n    from model.config import ModelConfig",
    ],
)
def test_an_init_that_does_more_is_caught(text: str) -> None:
    assert init_faults(f'"""Words."""\n{text}') != []


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"""Words."""',
        "from model.config import A, B\nfrom model.masks import c\n__all__ = ['A', 'B', 'c']",
    ],
)
def test_an_init_that_lists_names_passes(text: str) -> None:
    assert init_faults(text) == []
