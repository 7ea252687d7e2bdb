"""Parts conversations into training, validation and test, so that training sees nothing of the test.

What belongs together stays together: turns of one chat, questions on one document, and (nearly) equal questions.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from kb_assistant.errors import DatasetError
from kb_assistant.messages import _
from kb_assistant.training.data import Conversation
from kb_assistant.training.duplicates import learned_questions, measured_question, nearly_same, standing_alone

PARTS = ("train", "validation", "test")
_FEWEST = 5
_LARGE = 0.1


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts.

    Attributes:
        groups: Number of groups that were never parted.
        near: Number of questions that are nearly the same as another.
        loose: Whether some nearly equal questions were parted after all, because they would have been one large
            group.
    """

    train: list[Conversation]
    validation: list[Conversation]
    test: list[Conversation]
    groups: int
    near: int
    loose: bool

    def part(self, name: str) -> list[Conversation]:
        found: list[Conversation] = getattr(self, name)
        return found


def split(
    conversations: Sequence[Conversation], validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Draw whole groups for validation and test until each has its share, at least one conversation.

    Args:
        validation, test: Shares from 0 to below 1; 0 leaves that part empty.

    Raises:
        DatasetError: there are too few groups for the parts that are wanted.
    """
    groups, near, loose = _grouped(conversations)
    wanted = [max(1, round(len(conversations) * share)) if share else 0 for share in (test, validation)]
    if any(wanted) and len(groups) < max(_FEWEST, sum(map(bool, wanted)) + 1):
        told = _("There are too few different questions to keep some back for a test: {count}.", count=len(groups))
        if len(groups) < len(conversations):
            told = _(
                "The {rows:,} questions are of {count:,} groups that stay together (a document, a chat, the same "
                "question): too few to keep one back for a test.",
                rows=len(conversations),
                count=len(groups),
            )
        raise DatasetError(
            told, _("Give at least {fewest}, or train on all of them: --validation 0 --test 0", fewest=_FEWEST)
        )
    random.Random(seed).shuffle(groups)
    drawn: tuple[list[int], ...] = ([], [], [])  # test, validation, and the rest
    for group in groups:
        fits = (taken for taken, count in zip(drawn, wanted, strict=False) if len(taken) + len(group) <= count)
        next(fits, drawn[-1]).extend(group)
    _refuse_empty(wanted, drawn[:2])
    tested, validated, rest = ([conversations[place] for place in sorted(one)] for one in drawn)
    return Split(rest, validated, tested, len(groups), near, loose)


def _refuse_empty(wanted: Sequence[int], drawn: Sequence[Sequence[int]]) -> None:
    if any(count and not taken for count, taken in zip(wanted, drawn, strict=True)):
        raise DatasetError(
            _("The questions belong together in groups that are too large to keep one back for a test."),
            _("Give a test set of its own by --test-file, or: --validation 0 --test 0"),
        )


def _grouped(conversations: Sequence[Conversation]) -> tuple[list[list[int]], int, bool]:
    """Places by group, the number of nearly equal questions, and whether those were left apart."""
    links, count, loose = _near(conversations)
    keys = [learned_questions(one) for one in conversations]
    measured = {own[-1] for own in keys}
    first: dict[str, int] = {}
    for n, (one, own) in enumerate(zip(conversations, keys, strict=True)):
        shared = [key for key in own if key in measured] + ([f"group {one.group}"] if one.group else [])
        links += [(n, first.setdefault(key, n)) for key in shared]
    leader = list(range(len(conversations)))

    def lead(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for place, other in links:
        leader[lead(place)] = lead(other)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for place in range(len(conversations)):
        groups[lead(place)].append(place)
    return list(groups.values()), count, loose


def _near(conversations: Sequence[Conversation]) -> tuple[list[tuple[int, int]], int, bool]:
    """Pairs of places with nearly equal questions; the number of conversations that ask what one before asks;
    whether pairs are left out, because they would be one large group."""
    texts = [(place, text) for place, one in enumerate(conversations) for text in standing_alone(one)]
    near = nearly_same([text for _place, text in texts])
    sizes = Counter(near)
    most = max(_FEWEST, _LARGE * len(conversations))
    links = [(texts[n][0], texts[first][0]) for n, first in enumerate(near) if sizes[first] <= most]
    count = len({texts[n][0] for n, first in enumerate(near) if first != n})
    return links, count, any(size > most for size in sizes.values())


def refuse_overlap(train: Sequence[Conversation], test: Sequence[Conversation]) -> None:
    """Refuse to measure on what was learned, be it on other passages or in the midst of a conversation.

    Raises:
        DatasetError: a question of the test set is asked in the training set, too; names three of them.
    """
    known = {key: one.source for one in train for key in learned_questions(one)}
    learned = [(one.source, known[key]) for one in test if (key := measured_question(one)) in known]
    if learned:
        shown = "; ".join(f"{one} = {other}" for one, other in learned[:3])
        raise DatasetError(
            _("The test set shares {count} of its questions with the training set: {shown}.",
              count=len(learned), shown=shown),
            _("Take them out of one of the two: what was learned can't be measured on itself."),
        )  # fmt: skip


def near_questions(train: Sequence[Conversation], test: Sequence[Conversation]) -> int:
    """Number of questions of the test set that are nearly the same as one that is learned."""
    learned = [text for one in train for text in standing_alone(one)]
    first = nearly_same([*learned, *(one.question for one in test)])
    return sum(place < len(learned) for place in first[len(learned) :])
