"""Checks a given question and its history, converts messages to turns, and finds an answer that is to go on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from kb_assistant.errors import QuestionError
from kb_assistant.messages import _
from kb_assistant.retrieval.query_views import speakable
from kb_assistant.types import Turn

History = Sequence[Turn] | Sequence[Mapping[str, Any]]


def asked(question: str) -> str:
    """The question without surrounding blanks.

    Raises:
        QuestionError: nothing is left, or it is too long.
    """
    question = speakable(question).strip()
    if not question:
        raise QuestionError(_("The question is empty."), _("Ask something."))
    return question


def turns(history: History) -> tuple[Turn, ...]:
    """Turns unchanged, or made from {"role", "text"} messages.

    Raises:
        QuestionError: the messages have another form.
    """
    if all(isinstance(item, Turn) for item in history):
        return tuple(item for item in history if isinstance(item, Turn))
    return history_from(cast("Sequence[Mapping[str, Any]]", history))


def history_from(messages: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """Turns from a list of {"role": "user" | "assistant", "text": str}, oldest first. An answer that ended early
    may say so: "cut": True.

    Raises:
        QuestionError: they have another form; the message gives the place.
    """
    paired: list[Turn] = []
    question: str | None = None
    for number, message in enumerate(messages, start=1):
        role, text = (message.get("role"), message.get("text")) if isinstance(message, Mapping) else (None, None)
        if role not in ("user", "assistant") or not isinstance(text, str):
            raise QuestionError(
                _("Message {number} of the history has the wrong form.", number=number),
                _('Each is {{"role": "user" or "assistant", "text": "…"}}, oldest first.'),
            )
        if role == "user":
            if question is not None:
                paired.append(Turn(question, ""))
            question = text
        else:
            paired.append(Turn(question or "", text, cut=message.get("cut") is True))
            question = None
    return (*paired, Turn(question, "")) if question is not None else tuple(paired)


_GO_ON = re.compile(
    r"(?:please |pls |ok(?:ay)?,? |yes,? )*"
    r"(?:continue|go on|carry on|keep going|go ahead|proceed|resume|finish (?:it|that|your answer))"
    r"(?: (?:the|your|with the|with your) answer| (?:from )?where you (?:stopped|left off))?(?:,? please)?"
    r"|(?:请|請|麻烦|麻煩|好的?[，, ]?)*你?"
    r"(?:继续|繼續|接着|接著|往下)(?:说|說|写|寫|讲|講|回答|输出|輸出|下去)*(?:吧|一下)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An answer that is to go on.

    Attributes:
        question: What it answers.
        begun: Its text so far, over several turns if it was cut again.
        before: The turns before the question.
    """

    question: str
    begun: str
    before: tuple[Turn, ...]


def asks_to_go_on(question: str) -> bool:
    """Whether a turn says no more than "continue"."""
    return _GO_ON.fullmatch(question.strip().rstrip(".!。！…").strip()) is not None


def unfinished(question: str, history: Sequence[Turn]) -> Unfinished | None:
    """The last answer, if it was cut and the question asks for its rest."""
    if not history or not history[-1].cut or not asks_to_go_on(question):
        return None
    first = len(history) - 1
    while first and history[first - 1].cut and asks_to_go_on(history[first].question):
        first -= 1
    begun = ""
    for turn in history[first:]:
        spaced = begun[-1:].isascii() and turn.answer[:1].isalnum() and turn.answer[:1].isascii()
        begun += f" {turn.answer}" if begun and spaced else turn.answer
    return Unfinished(history[first].question, begun, tuple(history[:first]))
