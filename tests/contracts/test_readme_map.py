"""README's map of the code holds every file and says of it what the file says of itself."""

import runpy
from pathlib import Path

import pytest

from tests.contracts.project import PACKAGES, ROOT

MAP = runpy.run_path(str(ROOT / "scripts" / "code_map.py"))


def test_the_map_in_the_readme_is_what_the_files_say() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == MAP["with_map"](readme), "run: python scripts/code_map.py"


def test_the_map_reaches_every_folder_with_modules() -> None:
    paths = (path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    folders = {path.parent.relative_to(ROOT).as_posix() for path in paths if path.name != "__init__.py"}
    assert folders == set(MAP["FOLDERS"])


def test_a_module_that_says_nothing_is_refused(tmp_path: Path) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"silent\.py"):
        MAP["first_paragraph"](silent)


def test_a_cpp_file_that_says_nothing_is_refused(tmp_path: Path) -> None:
    silent = tmp_path / "silent.cpp"
    silent.write_text("int x = 1;\n")
    with pytest.raises(ValueError, match=r"silent\.cpp"):
        MAP["first_comment"](silent)
    silent.write_text("// Says what it knows,\n// in two lines.\n//\n// Knows: little.\nint x = 1;\n")
    assert MAP["first_comment"](silent) == "Says what it knows, in two lines."
