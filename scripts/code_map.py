"""Writes README's map of the code: a line per file, taken from each module's own first sentence.

Run as `python scripts/code_map.py`. Knows: module docstrings and the two marks in README.md. A test fails
when the map is not what this writes, so every file is on it.
"""

import ast
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- map: written by scripts/code_map.py -->", "<!-- end of the map -->"
KERNELS = "model/native/src"
FOLDERS = (
    "model",
    "model/decoding",
    "model/native",
    "model/cuda",
    "model/exporters",
    "model/importers",
    "training",
    "training/report",
    "training/baselines",
    "training/sources",
    "service",
    "service/engine",
    "service/hosting",
    "cli",
    "loadtests",
    "loadtests/traffic",
    "loadtests/traffic_report",
    "loadtests/bench",
    "loadtests/cost_model",
    "loadtests/live_load",
    "loadtests/rehearsal",
    "loadtests/robustness",
    "loadtests/scaling",
    "loadtests/gpu",
    "loadtests/peers",
    "loadtests/training_speed",
    "loadtests/why_transformers",
)


def first_paragraph(path: Path) -> str:
    """What a module says of itself first. Raises `ValueError` when it says nothing."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path}: a module opens with what it knows")
    return " ".join(docstring.split("\n\n")[0].split())


def folder_map(folder: str) -> list[str]:
    """A heading and one row for each module of a folder."""
    rows = [f"**`{folder}/`**", "", "| file | |", "|---|---|"]
    modules = sorted(path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py")
    return [*rows, *(f"| `{path.name}` | {first_paragraph(path)} |" for path in modules), ""]


def first_comment(path: Path) -> str:
    """What a C++ file says of itself first, up to an empty line of its comment. Raises `ValueError`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    said = list(takewhile(lambda line: line.startswith("// "), lines))
    if not said:
        raise ValueError(f"{path}: a file opens with what it knows")
    return " ".join(line.removeprefix("//").strip() for line in said)


def kernels_map() -> list[str]:
    """As `folder_map`, of the sources of the native library."""
    files = sorted(path for path in (ROOT / KERNELS).iterdir() if path.suffix in (".cpp", ".h", ".inc"))
    rows = [f"**`{KERNELS}/`**", "", "| file | |", "|---|---|"]
    return [*rows, *(f"| `{path.name}` | {first_comment(path)} |" for path in files), ""]


def code_map() -> str:
    """The whole map, without its marks."""
    maps = {folder: folder_map(folder) for folder in FOLDERS}
    maps["model/native"] += kernels_map()
    return "\n".join(line for lines in maps.values() for line in lines).strip()


def with_map(readme: str) -> str:
    """The README with the map between its marks made anew."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{code_map()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    README.write_text(with_map(README.read_text(encoding="utf-8")), encoding="utf-8")
