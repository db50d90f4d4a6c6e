"""The command in this process, on any input, and with a translator that costs nothing."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import main as shell
from cli.model_choice import Choice
from cli.offline import OfflineTranslator, assemble
from service.registry import ModelRegistry, Route
from tests.fakes import FakeEngine, served_model

# Of a test set.
SENTENCES = [
    "The cat sat on the mat.",
    "Where is the nearest station? It is late.",
    "It is raining today, and it was raining yesterday.",
]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8")


Verto = Callable[..., Ended]


@pytest.fixture
def verto(monkeypatch: pytest.MonkeyPatch) -> Verto:
    """`verto(*arguments, stdin=b"")`, as the shell would start it."""

    def call(*arguments: object, stdin: bytes = b"") -> Ended:
        out, err = io.BytesIO(), io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["verto", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8", write_through=True))
            patch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding="utf-8", write_through=True))
            code = _exit_code()
            printed = out.getvalue(), err.getvalue().decode("utf-8")
        return Ended(code, *printed)

    return call


def _exit_code() -> int:
    try:
        shell.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """What commands translate with instead of a bundle, from English to German: at first the identity."""
    engine = FakeEngine()
    model = served_model(engine)

    @contextmanager
    def fake_translator(
        choice: Choice, options: Any, split: Any, settings: Any, wording: Any = None
    ) -> Iterator[OfflineTranslator]:
        route = Route(model, choice.source, choice.target)
        yield OfflineTranslator(assemble(ModelRegistry([model])), route, options, split, wording)

    def fake_choice(models_dir: Path, model: str | None, source: str | None, target: str | None) -> Choice:
        return Choice(models_dir / (model or "en-de"), model or "en-de", "1", source or "en", target or "de")

    monkeypatch.setattr("cli.offline.offline_translator", fake_translator)
    monkeypatch.setattr("cli.offline.check_bundle", lambda choice, options: None)
    monkeypatch.setattr("cli.model_choice.choose", fake_choice)
    return engine


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    """Source and reference are equal, so that the identity is a perfect model."""
    path = tmp_path / "test.tsv"
    path.write_text("".join(f"{text}\t{text}\n" for text in SENTENCES))
    return path
