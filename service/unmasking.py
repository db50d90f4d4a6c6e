"""A translation with its masked spans back in place: character by character, as it is written.

Whatever the model has written, no masking character is shown, no span is shown twice and, once `finish` is
called, none is missing: a lost one stands at the end. copied_events.py sees to it that this is hardly ever
needed. Knows masks and target text; must not know token ids, the engine or requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.masking import FIRST_PRIVATE, LAST_PRIVATE, Copy, Mask, has_private, is_word
from service.segmentation import Span

_CLOSING = ".,;:!?)…"


class Unmasking:
    """One translation of a masked segment. What `push` and `finish` answer, joined, is its text."""

    def __init__(self, mask: Mask) -> None:
        self._in_capitals = mask.in_capitals
        self._copies = {copy.symbol: copy for copy in mask.copies}
        self._held_space = ""  # white space whose next word is not known yet
        self._drops_space = False
        self._behind: Copy | None = None  # what was shown last
        self._has_left_out = False  # a character since then
        self._last = ""  # character shown
        # For each character that was pushed, where in the restored text it stands.
        self.places: list[Span] = []
        self._length = 0

    def push(self, text: str) -> str:
        """What this next piece of the masked translation shows; its last white space comes with the next."""
        return "".join(self._shown(character) for character in text)

    def finish(self) -> str:
        """What the model has lost. Nothing comes behind it."""
        lost = " ".join(copy.text for copy in self._copies.values())
        self._copies.clear()
        return " " + lost if lost and self._last else lost

    def _shown(self, character: str) -> str:
        if character.isspace():
            place = self._length + len(self._held_space)
            if self._drops_space:
                self.places.append((place, place))
                self._drops_space = False
                return ""
            self.places.append((place, place + 1))
            self._held_space += character
            return ""
        if not FIRST_PRIVATE <= character <= LAST_PRIVATE:
            if self._ends_copy(character):
                self._held_space = " "  # or a number, an address would become another one
            if self._has_left_out and character in _CLOSING:
                self._held_space = ""
            self._behind = None
            return self._emit(character.upper() if self._in_capitals else character)
        copy = self._copies.pop(character, None)
        if copy is None:
            return self._leave_out()
        if copy.joins_before:
            self._held_space = ""
        elif not self._held_space and self._is_forced(copy):
            self._held_space = " "
        shown = self._emit(copy.text)
        self._drops_space, self._behind = copy.joins_after, copy
        return shown

    def _is_forced(self, copy: Copy) -> bool:
        """Whether it comes where the model would have gone on without a space."""
        runs_on = is_word(self._last) and is_word(copy.text[0])
        return runs_on or (copy.stands_apart and self._last != "" and self._last in _CLOSING)

    def _ends_copy(self, character: str) -> bool:
        """Whether it would run on what was copied just before, and is no ending of a word."""
        copy = self._behind
        if copy is None or self._held_space or copy.joins_after or not is_word(copy.text[-1]):
            return False
        return character.isdigit() or (is_word(character) and not copy.text.isalnum())

    def _emit(self, text: str) -> str:
        shown = self._held_space + text
        self.places.append((self._length + len(self._held_space), self._length + len(shown)))
        self._length += len(shown)
        self._held_space, self._last = "", shown[-1]
        self._drops_space = self._has_left_out = False
        return shown

    def _leave_out(self) -> str:
        """A character that stands for nothing, or for what is there already: of the spaces around it one
        stays."""
        place = self._length + len(self._held_space)
        self.places.append((place, place))
        self._drops_space = bool(self._held_space) or not self._last
        self._has_left_out = True
        return ""


def restored(mask: Mask | None, text: str, *, is_complete: bool = True) -> str:
    """A whole translation of the segment; an incomplete one may lack spans."""
    if mask is None or not (mask.copies or mask.in_capitals or has_private(text)):
        return text
    unmasking = Unmasking(mask)
    shown = unmasking.push(text)
    return shown + unmasking.finish() if is_complete else shown


def shown_pieces(mask: Mask | None, pieces: Sequence[str]) -> list[str]:
    """Pieces of a vocabulary, what was masked in the place of its character; nothing for one of no use."""
    if mask is None:
        return list(pieces)
    texts = {copy.symbol: copy.text for copy in mask.copies}
    return [texts.get(piece, "") if has_private(piece) else piece for piece in pieces]


def shown_text(mask: Mask | None, text: str) -> str:
    """A piece of a translation by itself, what was masked in the place of its characters."""
    shown = "".join(shown_pieces(mask, text))
    return shown.upper() if mask is not None and mask.in_capitals else shown


def masked_prefix(mask: Mask, prefix: str) -> str:
    """A translation's beginning as the model would write it: the first of each span's text in it becomes the
    span's character. Of spans that overlap there, the longer one."""
    found: list[tuple[Span, Copy]] = []
    for copy in sorted(mask.copies, key=lambda copy: -len(copy.text)):
        taken = [span for span, _ in found]
        places = (
            place for place in _places_of(copy, prefix) if not any(_overlap(place, one) for one in taken)
        )
        if (place := next(places, None)) is not None:
            found.append((place, copy))
    pieces, end = list[str](), 0
    for (start, following), copy in sorted(found, key=lambda one: one[0]):
        before = prefix[end:start] + " " * is_word(prefix[start - 1 : start])
        pieces += [before, copy.symbol, " " * is_word(prefix[following : following + 1])]
        end = following
    return "".join([*pieces, prefix[end:]])


def _places_of(copy: Copy, prefix: str) -> Iterator[Span]:
    """Where it stands as in the source: letters and digits touch it only if they did so there."""
    start = prefix.find(copy.text)
    while start >= 0:
        end = start + len(copy.text)
        before, after = prefix[start - 1 : start], prefix[end : end + 1]
        if is_word(before) <= copy.joins_before and is_word(after) <= copy.joins_after:
            yield start, end
        start = prefix.find(copy.text, start + 1)


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]
