"""`verto` with a translator that shouts (upper case) and needs no bundle and no torch, as a program.

Run as `python -m tests.cli.without_torch translate …`. A line `wait` is never finished; that it has begun is
said on standard error.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from cli.line_translation import TranslatedLine
from cli.line_window import WindowSize
from cli.main import main
from service.answer_schemas import TranslationAnswer


class Shouter:
    """Stands in for `cli.offline.OfflineTranslator`."""

    options = SimpleNamespace(to_dict=lambda: {"strategy": "greedy"})
    route = SimpleNamespace(model=SimpleNamespace(dtype="float32", device="cpu"))

    async def translate(self, text: str, *, with_attention: bool = False) -> TranslatedLine:
        if text == "wait":
            sys.stderr.write("waiting\n")
            sys.stderr.flush()
            await asyncio.Event().wait()
        return TranslatedLine(
            TranslationAnswer(text=text.upper(), score=-0.5, finish_reason="stop"), len(text)
        )


@contextmanager
def offline_translator(*_: Any) -> Iterator[Shouter]:
    yield Shouter()


def choose(models_dir: Any, model: str | None, source: str | None, target: str | None) -> SimpleNamespace:
    return SimpleNamespace(
        name=model or "en-de",
        version="1",
        source=source or "en",
        target=target or "de",
        folder=Path(models_dir, model or "en-de"),
    )


def _install(name: str, **contents: Any) -> None:
    module = ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


if __name__ == "__main__":
    fakes = {"offline_translator": offline_translator, "check_bundle": lambda choice, options: None}
    _install("cli.offline", **fakes, window_size=lambda _: WindowSize())
    _install("cli.model_choice", choose=choose)
    main()
