"""The sentences of passages, as they are quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kb_assistant.text.analyzer import analyze, fold, is_cjk
from kb_assistant.text.marks import unmarked
from kb_assistant.text.sentences import sentences

_SAME = 0.9
_NUMBERED = re.compile(r"[(（]?(?:\d{1,3}|[一二三四五六七八九十]{1,3})[.)）、]")
_PICTURE = re.compile(r"!\[[^\]]*\]\([^()\s]*\)")
_QUESTION = re.compile(r"[?？][*_\"'”’」）)\s]*\Z")


@dataclass(frozen=True)
class Sentence:
    """One sentence of a passage; `passage` counts from 1."""

    text: str
    passage: int

    def has(self, word: str) -> bool:
        """Whether it has a word; a single Chinese character also as a part of a longer word."""
        return word in self.terms or (len(word) == 1 and is_cjk(word) and word in fold(self.text))

    @cached_property
    def terms(self) -> frozenset[str]:
        return frozenset(analyze(self.text))


def unmarked_sentences(passage: str) -> list[str]:
    """The sentences of a passage without anything that reads as a citation, such as footnotes; also in lines of
    code, which are quoted without their fence. A picture alone says nothing."""
    texts = (unmarked(one).strip() for one in sentences(unmarked(passage)))
    return [text for text in texts if text and not _PICTURE.fullmatch(text)]


def answer_to(texts: Sequence[str], place: int) -> str:
    """The sentence at a place; for a question, as in a list of questions and answers, the one behind it, unless
    that is the next item of a list."""
    behind = next(iter(texts[place + 1 : place + 2]), "")
    asks = _QUESTION.search(texts[place]) is not None
    other = _QUESTION.search(behind) or (_NUMBERED.match(behind) and _NUMBERED.match(texts[place]))
    return behind if asks and behind and not other else texts[place]


def are_same(one: Sentence, other: Sentence) -> bool:
    either = one.terms | other.terms
    return one.text == other.text or len(one.terms & other.terms) > _SAME * len(either)
