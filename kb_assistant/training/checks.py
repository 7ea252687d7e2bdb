"""What is odd in training data, though it can be used: told with its line, for a person to decide."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb_assistant.messages import Message, _
from kb_assistant.training.data import Conversation
from kb_assistant.training.duplicates import asked, folded

_CONTROL = re.compile(
    r"</?s>|<\|[a-z_]{2,20}\|>|\[[gs]?MASK\]|\[/?INST\]|<<SYS>>|<(?:start|end)_of_turn>"
    r"|\[Round \d+\]\s{0,9}问："
)
_CHINESE_ID = re.compile(r"(?<![0-9A-Za-z])\d{17}[\dXx](?![0-9A-Za-z])")
_MOBILE = re.compile(r"(?<![\d.])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?![\d.])")
_PHONE = re.compile(r"(?<![\w.])\+\d{1,3}(?:[-. ]?\(?\d{2,4}\)?){2,4}(?!\d)")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----|\b(?:sk|pk|rk)[-_](?:[a-z]{2,8}[-_])?[A-Za-z0-9_-]{20,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"
    r"|(?i:(?:api[_-]?key|secret|password|passwd|密码|口令)\s{0,3}[:=：]\s{0,3}[^\s，。,;]{6,})"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"

PRIVATE = {
    "phone": _("phone numbers"),
    "id": _("ID numbers"),
    "mail": _("e-mail addresses"),
    "key": _("keys or passwords"),
}
"""What shouldn't be learned unless it is meant to be said: an adapter repeats it to whoever asks."""

KINDS = PRIVATE | {
    "control": _("texts that look like a model's control tokens"),
    "broken": _("characters that were lost in another encoding (�)"),
    "echo": _("answers that only repeat the question"),
    "conflict": _("questions with different answers"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd.

    Attributes:
        kind: A key of KINDS.
        sources: Where it is: one place, or all that contradict each other.
    """

    kind: str
    sources: tuple[str, ...]

    @property
    def about(self) -> Message:
        return KINDS[self.kind]


def findings(conversations: Sequence[Conversation]) -> list[Finding]:
    """All that is odd, by kind and then in order."""
    found = [Finding(kind, (one.source,)) for one in conversations for kind in _odd(one)]
    found += [Finding("conflict", sources) for sources in _conflicts(conversations)]
    return sorted(found, key=lambda one: list(KINDS).index(one.kind))


def _odd(conversation: Conversation) -> Iterator[str]:
    said = "\n".join(content for _role, content in conversation.messages)
    if _MOBILE.search(said) or _PHONE.search(said):
        yield "phone"
    if any(is_id_number(match[0]) for match in _CHINESE_ID.finditer(said)):
        yield "id"
    if _MAIL.search(said):
        yield "mail"
    if _KEY.search(said):
        yield "key"
    if _CONTROL.search(said):
        yield "control"
    if "\ufffd" in said or "锟斤拷" in said:
        yield "broken"
    if any(folded(answer) == folded(question) for question, answer in conversation.turns):
        yield "echo"


def is_id_number(text: str) -> bool:
    """Whether it is a Chinese ID number: 18 digits, of which the last checks the others (GB 11643)."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text, strict=False))
    return _CHECKS[total % 11] == text[-1].upper()


def _conflicts(conversations: Sequence[Conversation]) -> Iterator[tuple[str, ...]]:
    """The places of each question that has several answers."""
    by_question: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for one in conversations:
        by_question[asked(one)].setdefault(folded(one.answer), one.source)
    return (tuple(answers.values()) for answers in by_question.values() if len(answers) > 1)
