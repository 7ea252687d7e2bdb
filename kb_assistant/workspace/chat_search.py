"""Where conversations hold what is searched in them: a line of each, with the places of the words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kb_assistant.workspace.chats import Chat, SavedTurn

BEFORE, AFTER = 30, 90
"""Most characters of a line before and after the beginning of the first word that is found."""


@dataclass(frozen=True, slots=True)
class FoundChat:
    """A conversation that holds all words.

    Attributes:
        turn: The first turn that holds most of them; None if only the title does.
        line: What stands around them in that turn, in one line; "" without a turn.
        spans: Where they are in the line: start and end.
    """

    chat: Chat
    turn: int | None = None
    line: str = ""
    spans: tuple[tuple[int, int], ...] = ()


def find_in(chat: Chat, turns: Sequence[SavedTurn], words: Sequence[str]) -> FoundChat | None:
    """The conversation if its title and its turns, as they may be seen, hold all words; None if they don't.

    Args:
        words: In any case; none finds every conversation.
    """
    wanted = list(dict.fromkeys(word.casefold() for word in words))
    texts = [(turn.id, text) for turn in turns for text in (turn.question, turn.answer)]
    whole = "\n".join([chat.title, *(text for _, text in texts)]).casefold()
    if not all(word in whole for word in wanted):
        return None
    held = [sum(word in text.casefold() for word in wanted) for _, text in texts]
    if not max(held, default=0):
        return FoundChat(chat)
    turn, text = texts[held.index(max(held))]
    line, spans = _line(" ".join(text.split()), wanted)
    return FoundChat(chat, turn, line, spans)


def _line(text: str, words: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The part of a text around the first of the words, and where it has them."""
    sought = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE)
    first = sought.search(text)
    start = max(0, (first.start() if first else 0) - BEFORE)
    if start:
        start = text.find(" ", start, start + BEFORE) + 1 or start
    end = start + BEFORE + AFTER
    line = f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
    return line, tuple(found.span() for found in sought.finditer(line))
