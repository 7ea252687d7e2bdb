"""Questions with the passages that a search found for them, as the reader is measured on them, and what it learns
from those of one's own: documents that ask and answer, questions that a chat model wrote, rated answers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kb_assistant.text.code_mask import masked
from kb_assistant.text.file_names import with_file_name
from kb_assistant.text.marks import marks_in, unmarked
from kb_assistant.text.sentences import sentences
from kb_assistant.text.wording import is_refusal
from kb_assistant.training.data import Conversation
from kb_assistant.training.duplicates import folded
from kb_assistant.training.reader.pairs import Group, Pair, near_miss
from kb_assistant.training.reader.typed import as_typed

_TURNS = 2
"""Number of turns before that the reader is told."""
_MISSED = 0.3
"""Share of questions with a marked answer that are also asked of the passage without it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with passages.

    Attributes:
        earlier: The texts of the turns before, oldest first.
        passages: Heading and body of each.
        right: Place of the passage that holds the answer; None if none does.
        answers: What answers, as it stands in that passage; none if that isn't known.
        wrong: Places of those that don't hold it.
    """

    question: str
    earlier: tuple[str, ...]
    passages: tuple[tuple[str, str], ...]
    right: int | None
    answers: tuple[str, ...]
    wrong: tuple[int, ...]


def asked_in(conversations: Iterable[Conversation]) -> list[Asked]:
    """The last question of each conversation that has passages, and cites one of them or refuses."""
    return [asked for one in conversations if (asked := _asked(one))]


def _asked(one: Conversation) -> Asked | None:
    passages = tuple(
        (with_file_name(passage.source, _without(passage.heading, one.question)), passage.text)
        for passage in one.passages
    )
    earlier: list[str] = []
    for question, answer in one.turns[:-1][-_TURNS:]:
        earlier += [question, *sentences(unmarked(answer))[:1]]
    if is_refusal(one.answer):
        return Asked(one.question, tuple(earlier), passages, None, (), tuple(range(len(passages))))
    cited = [number - 1 for *_, ns in marks_in(masked(one.answer), range(1, len(passages) + 1)) for number in ns]
    if not cited:
        return None
    said = _said(unmarked(one.answer), passages[cited[0]][1])
    wrong = [
        place
        for place, (_heading, body) in enumerate(passages)
        if place not in cited and not (said and said in body)
    ]
    return Asked(one.question, tuple(earlier), passages, cited[0], (said,) if said else (), tuple(wrong))


def _without(heading: str, question: str) -> str:
    """The heading without the question: people ask in words of their own, so that no heading asks the same."""
    return " > ".join(part for part in heading.split(" > ") if folded(part) != folded(question))


def _said(answer: str, body: str) -> str:
    """The first sentence of an answer that stands in the passage; "" if none does."""
    found = (part for sentence in sentences(answer) if (part := sentence.strip()) and part in body)
    return next(found, "")


def groups_of(asked: Sequence[Asked], random_: random.Random) -> Iterator[Group]:
    """What is learned of each question: its passage against one that the search found beside it, or that a passage
    holds no answer. Drawn anew each time."""
    for one in asked:
        if one.right is None:
            yield tuple(as_typed([_pair(one, random_.choice(one.wrong))], random_))
            continue
        right = _pair(one, one.right)
        yield tuple(
            as_typed(
                [right, *(_pair(one, place) for place in random_.sample(one.wrong, 1))] if one.wrong else [right],
                random_,
            )
        )
        missed = near_miss(right, random_) if random_.random() < _MISSED else None
        if missed:
            yield tuple(as_typed([missed], random_))


def _pair(one: Asked, place: int) -> Pair:
    heading, body = one.passages[place]
    pair = Pair(one.question, one.earlier, heading, body, relevant=False, answered=False)
    if place != one.right:
        return pair
    start = body.find(one.answers[0]) if one.answers else -1
    span = (start, start + len(one.answers[0])) if start >= 0 else None
    return replace(pair, relevant=True, answered=True, span=span)
