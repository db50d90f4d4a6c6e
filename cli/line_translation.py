"""Lines through a translator, a window of them at a time, told in order: for `translate` and `evaluate`.

Knows lines, the window and what the service refuses; must not know options, files' places or what is printed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cli.line_feed import Line, LineFeed
from cli.line_files import LineFileError
from cli.line_window import LineWindow, WindowSize
from cli.stopping import CommandFailed
from service.answer_schemas import HypothesisAnswer, TranslationAnswer
from service.errors import FieldFault, ServiceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TranslatedLine:
    """The answer as `POST /v1/translate` would give it, and its target tokens (end marks not counted)."""

    answer: TranslationAnswer
    target_tokens: int


class TextTranslator(Protocol):
    """Raises ServiceError. Cancelled, it does not go on."""

    async def translate(self, text: str) -> TranslatedLine: ...


Ready = Sequence[tuple[Line, TranslatedLine]]


def one_line(answer: TranslationAnswer) -> str:
    """The translation. A line end that the model wrote would move all lines behind it: it becomes a space."""
    return answer.text.replace("\n", " ")


def json_line(answer: TranslationAnswer) -> str:
    """The object that stands in `translations` of the server's answer."""
    return answer.model_dump_json()


def n_best_lines(number: int, answer: TranslationAnswer) -> str:
    """A line for each hypothesis, best first, as Moses and Marian write them; `number` is the text's, from 0.

    What nothing was decided about, as a blank line, has the score of certainty.
    """
    found: Sequence[HypothesisAnswer | TranslationAnswer] = answer.hypotheses or [answer]
    lines = [f"{number} ||| {one.text} ||| {one.score or 0.0:.4f}" for one in found]
    return "\n".join(line.replace("\n", " ") for line in lines)


def tally(ready: Ready) -> tuple[int, int, int]:
    """Lines, their target tokens, and how many lines a length limit has cut."""
    cut = sum(translated.answer.finish_reason == "length" for _, translated in ready)
    return len(ready), sum(translated.target_tokens for _, translated in ready), cut


def translate_lines(
    lines: Iterable[Line],
    names: Sequence[str],
    translator: TextTranslator,
    take: Callable[[Ready], None],
    size: WindowSize,
) -> None:
    """Call `take` with every line and its translation, in order. `names` are those of the inputs.

    Raises LineFileError for what is wrong with a line, CommandFailed when the engine fails, and whatever
    reading raises; each behind all lines before it.
    """

    async def work(line: Line) -> TranslatedLine:
        try:
            return await translator.translate(line.text)
        except ServiceError as error:
            raise _line_error(names[line.input_index], line.number, error) from error

    asyncio.run(_take_all(lines, work, take, size))


async def _take_all(
    lines: Iterable[Line],
    work: Callable[[Line], Awaitable[TranslatedLine]],
    take: Callable[[Ready], None],
    size: WindowSize,
) -> None:
    window = LineWindow(LineFeed(lines), work, size)
    async with aclosing(window.results()) as results:
        async for ready in results:
            take(ready)


def _field(fault: FieldFault) -> str:
    """Not of the text, which is the line: its number stands before."""
    return "" if fault.field.startswith("text") else f"{fault.field} "


def _line_error(name: str, number: int, error: ServiceError) -> Exception:
    faults = "; ".join(f"{_field(fault)}must be {fault.bound}, got {fault.value!r}" for fault in error.faults)
    what = f"line {number}: {faults or error.detail}"
    return LineFileError(name, what) if error.status < 500 else CommandFailed(f"{name}: {what}")
