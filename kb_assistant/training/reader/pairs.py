"""What the reader learns from: pairs of a question and a passage."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace

from kb_assistant.text.analyzer import is_cjk
from kb_assistant.text.sentences import sentences


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a passage.

    Attributes:
        relevant: Whether the passage is on what is asked.
        answered: Whether it holds the answer; None if that isn't known.
        span: Start and end of the answer in characters of the body; None if there is none, or, where it is
            answered, if it isn't known.
    """

    question: str
    earlier: tuple[str, ...]
    heading: str
    body: str
    relevant: bool
    answered: bool | None
    span: tuple[int, int] | None = None


Group = tuple[Pair, ...]
"""The pairs of one question; a relevant one comes first, if there is one."""


def near_miss(pair: Pair, random_: random.Random) -> Pair | None:
    """The pair without its answer: the question asks for another year or number, or the passage lacks the sentence
    that answers; None where neither can be made."""
    if not pair.span:
        return None
    missed = replace(pair, answered=False, span=None)
    number = re.search(r"\d{2,}", pair.question)
    if number and random_.random() < 0.6:
        other = str(int(number[0]) + random_.choice((-11, -4, -2, -1, 1, 3, 6, 20)))
        if other not in pair.body:
            return replace(missed, question=pair.question.replace(number[0], other))
    answer = pair.body[slice(*pair.span)]
    kept = [sentence for sentence in sentences(pair.body) if answer not in sentence]
    body = ("" if is_cjk(pair.body[:1]) else " ").join(kept)
    if len(kept) < 2 or answer in body:
        return None
    return replace(missed, body=body)
