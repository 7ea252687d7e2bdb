"""Leaves the sentences that are on what a question names: a date, a quantity, a numbered part, a code, a file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb_assistant.llm.extract.sentence import Sentence, unmarked_sentences
from kb_assistant.text.analyzer import analyze, analyze_query, codes
from kb_assistant.text.conversation import is_unclear
from kb_assistant.text.file_names import on_another
from kb_assistant.text.mentions import Mentions, mentioned_above, mentions
from kb_assistant.text.numbered_parts import Part, PartsAround, asked_parts, count_met

GOES_ON = re.compile(r"(?:It|Its|He|His|She|Her|They|Their|This|These)\b|[它他她其该这]")
"""Begins a sentence that goes on about what the one before it names."""


def on_what_is_named(
    question: str, passages: Sequence[str], names: Sequence[str] = (), answered: Sequence[bool] = ()
) -> list[Sentence]:
    """The sentences on the date, the name with a number, and the quantity that the question names; of these, each
    that no sentence is on is left aside. Passages of files named like another, but for the question's words, are
    left out. None if all are as good. A sentence is on what it names, else on what was
    named last before it, above the passage, or, if it is the only date, anywhere in it.

    Args:
        names: What stands above each passage, outermost first and joined by " > ": its folder's
            name, its file's, its headings.
        answered: Whether each passage holds an answer, if known.
    """
    if (parts := asked_parts(question)) and (inside := _in_parts(parts, passages, names)):
        return inside
    asked = mentions(question)
    others = _on_other_files(question, passages, names, answered) if names else set()
    if not asked and not others:
        return []
    found: list[tuple[Sentence, tuple[bool, bool, bool]]] = []
    headed = _headed(asked, names)
    for number, passage in enumerate(passages, start=1):
        if number in others or (headed and number not in headed):
            continue
        above = mentioned_above(names[number - 1] if names else "")
        only = mentions(passage).dates
        before = Mentions()
        for text in unmarked_sentences(passage):
            before = mentions(text).or_else(before)
            on = before.or_else(above).or_else(Mentions(only if len(only) == 1 else frozenset()))
            found.append((Sentence(text, number), asked.shares(on)))
    kept = found
    for sort in range(3):
        kept = [one for one in kept if one[1][sort]] or kept
    return [sentence for sentence, _ in kept] if others or any(any(shared) for _, shared in kept) else []


def _headed(asked: Mentions, names: Sequence[str]) -> set[int]:
    """The numbers of the passages whose headings name what is asked for with a number, such as a version."""
    headings = [" > ".join(name.split(" > ")[2:]) for name in names]
    above = enumerate(map(mentioned_above, headings), start=1)
    return {number for number, over in above if asked.names & over.names}


def _on_other_files(
    question: str, passages: Sequence[str], names: Sequence[str], answered: Sequence[bool]
) -> set[int]:
    """The numbers of the passages that are on another than the question is, by the names of their files."""
    parts = [[*name.split(" > ", 2), "", "", ""] for name in names]
    texts = [f"{heading}\n{passage}" for (_, _, heading, *_rest), passage in zip(parts, passages, strict=True)]
    others = on_another(question, [(folder, file) for folder, file, *_rest in parts], texts, answered)
    return {number for number, other in enumerate(others, start=1) if other}


def _in_parts(asked: Sequence[Part], passages: Sequence[str], names: Sequence[str]) -> list[Sentence]:
    """The sentences in most of the numbered parts that are asked for; none if no sentence is in any."""
    found: list[tuple[Sentence, int]] = []
    for number, passage in enumerate(passages, start=1):
        around = PartsAround(names[number - 1] if names else "")
        for text in unmarked_sentences(passage):
            found.append((Sentence(text, number), count_met(asked, around.then(text))))
    most = max((met for _, met in found), default=0)
    return [sentence for sentence, met in found if met == most] if most else []


def on_focus(focus: str, passages: Sequence[str], headings: Sequence[str] = ()) -> list[Sentence]:
    """The sentences that say something of the focus, if any does: see `quote`."""
    found = [
        Sentence(text, number) for number, one in enumerate(passages, start=1) for text in unmarked_sentences(one)
    ]
    return [found[place] for place in places_on(focus, found, headings)]


def with_code(question: str, found: Sequence[Sentence]) -> list[Sentence]:
    """The sentences that contain a code of the question, such as ERR-1042, also as a part of a longer one; all, if
    it has none or none does."""
    wanted = set(codes(question))
    return [one for one in found if wanted & one.terms] or list(found)


def on_the_topic(
    question: str, earlier: str, found: Sequence[Sentence], passages: Sequence[str], headings: Sequence[str]
) -> list[Sentence]:
    """For a question such as "when is it open?" the sentences of passages that have words of the turn before, that
    tell what it means, or stand under such a heading; all if there are none."""
    topic = set(analyze_query(earlier)) if earlier and is_unclear(question) else set[str]()
    above = [*headings, *[""] * len(passages)]
    on = {n for n, text in enumerate(passages, start=1) if topic & {*analyze(text), *analyze(above[n - 1])}}
    return [one for one in found if one.passage in on] or list(found)


def places_on(focus: str, found: list[Sentence], headings: Sequence[str]) -> list[int]:
    """The places of the sentences that name the focus, stand under a heading that does, or go on about it with a
    pronoun."""
    wanted = set(analyze_query(focus))
    if not wanted:
        return []
    headed = {number for number, heading in enumerate(headings, start=1) if wanted <= set(analyze(heading))}
    kept: list[int] = []
    for place, one in enumerate(found):
        follows = kept[-1:] == [place - 1] and found[place - 1].passage == one.passage
        if all(map(one.has, wanted)) or one.passage in headed or (follows and GOES_ON.match(one.text)):
            kept.append(place)
    return kept
