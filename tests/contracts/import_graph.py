"""Reads imports out of source text with `ast`; nothing is executed, so what a branch hides is seen too.

Knows Python's ways of importing; must not know which import the project allows (import_rules.py does).
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

UNREADABLE = "?"


@dataclass(frozen=True)
class Import:
    """One imported name. `target` is dotted and absolute; `UNREADABLE` where running code computes it."""

    importer: str
    target: str
    line: int
    typing_only: bool

    @property
    def top(self) -> str:
        """The first part of the target."""
        return self.target.partition(".")[0]


def module_name(path: str) -> str:
    """`service/engine/__init__.py` is the module `service.engine`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def read_imports(sources: Mapping[str, str]) -> list[Import]:
    """Every import of every source, those inside functions included. `sources`: path to text."""
    modules = {module_name(path) for path in sources}
    found: list[Import] = []
    for path, text in sources.items():
        reader = _Reader(path, modules)
        reader.visit(ast.parse(text, filename=path))
        found += reader.found
    return found


def find_cycle(imports: list[Import], modules: set[str]) -> list[str] | None:
    """One cycle among the modules as `[a, b, a]`, or None.

    Imports for type checkers only do not count: they never run, and two types may well name each other.
    Imports inside functions do count: there a cycle is hidden from Python, not from the reader.
    """
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for item in imports:
        target = _containing_module(item.target, modules)
        if target and not item.typing_only:
            graph[item.importer].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[::-1]
    return None


def _containing_module(target: str, modules: set[str]) -> str | None:
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target or None


class _Reader(ast.NodeVisitor):
    def __init__(self, path: str, modules: set[str]) -> None:
        self.importer = module_name(path)
        self.package = self.importer if path.endswith("__init__.py") else self.importer.rpartition(".")[0]
        self.modules = modules
        self.typing_only = False
        self.found: list[Import] = []

    def _add(self, target: str, node: ast.stmt | ast.expr) -> None:
        self.found.append(Import(self.importer, target, node.lineno, self.typing_only))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self._absolute(node)
        for alias in node.names:
            self._add(f"{base}.{alias.name}", node)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")[: -(node.level - 1) or None]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def visit_If(self, node: ast.If) -> None:
        before = self.typing_only
        self.typing_only = before or ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        self._visit_all(node.body)
        self.typing_only = before
        self._visit_all(node.orelse)

    def _visit_all(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func).rpartition(".")[2]
        if called in ("import_module", "__import__"):
            self._add(_literal(node.args[0]) if node.args else UNREADABLE, node)
        self.generic_visit(node)


def _literal(node: ast.expr) -> str:
    readable = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if readable else UNREADABLE  # type: ignore[attr-defined]


def environment_reads(text: str) -> Iterator[int]:
    """The lines that read or write the process environment, directly or through a library made for it."""
    tree = ast.parse(text)
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            touched = node.attr in names
        elif isinstance(node, ast.ImportFrom):
            touched = node.module == "os" and any(alias.name in names for alias in node.names)
            touched |= (node.module or "").partition(".")[0] in ("pydantic_settings", "dotenv")
        elif isinstance(node, ast.Import):
            touched = any(
                alias.name.partition(".")[0] in ("pydantic_settings", "dotenv") for alias in node.names
            )
        else:
            touched = isinstance(node, ast.keyword) and node.arg == "envvar"
        if touched:
            yield node.lineno  # type: ignore[attr-defined]
