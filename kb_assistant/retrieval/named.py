"""Holds the passages against the date, the name with a number, or the numbered part of a document that a question
is for.

What one day's entry says isn't the answer for another day. The passages on what is named come first; where there
are none, but some on another day or code of the same kind, the answer is uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence

from kb_assistant.retrieval.relevance import NAMED
from kb_assistant.text.file_names import file_names, on_another
from kb_assistant.text.mentions import mentioned_above, mentions
from kb_assistant.text.numbered_parts import VERSION, Part, PartsAround, asked_parts, count_met
from kb_assistant.types import Hit

OTHERWISE_NAMED = 0.6
"""Most evidence if the passages name only others: refused by nobody's usual threshold, but marked uncertain."""


def named_first(question: str, hits: Sequence[Hit], evidence: float) -> tuple[list[Hit], float]:
    """The passages, those first that are on what the question names, and the evidence. Those in files that are
    named alike, but for the question's words, come last."""
    texts = [f"{hit.locator.heading or ''}\n{hit.text}" for hit in hits]
    others = on_another(
        question, [file_names(hit.source) for hit in hits], texts, [bool(hit.answer) for hit in hits]
    )
    hits = [*_where(hits, others, False), *_where(hits, others, True)]
    if parts := asked_parts(question):
        hits, evidence = _parts_first(parts, hits, evidence)
    asked = mentions(question)
    if not asked or not hits:
        return hits, evidence
    said = [mentions(hit.text) for hit in hits]
    above = [mentioned_above(name_path(hit)) for hit in hits]
    headed = [asked.is_met_by(over) for over in above]
    met = [
        over or asked.is_met_by(one.or_else(names)) for one, names, over in zip(said, above, headed, strict=True)
    ]
    if any(met):  # what stands under the name is on it more than what names it in passing
        order = sorted(range(len(hits)), key=lambda place: -met[place] - headed[place])
        return [hits[place] for place in order], evidence
    denied = any(asked.is_denied_by(one.or_else(over)) for one, over in zip(said, above, strict=True))
    return hits, min(evidence, OTHERWISE_NAMED) if denied else evidence


def _parts_first(asked: Sequence[Part], hits: Sequence[Hit], evidence: float) -> tuple[list[Hit], float]:
    """The passages, those first that are in most of the numbered parts that are asked for. If one is, the answer
    isn't refused, whatever words are in it; where there are only other parts, it is uncertain."""
    around = [_parts_of(hit) for hit in hits]
    met = [count_met(asked, parts) for parts in around]
    if any(met):
        order = sorted(range(len(hits)), key=lambda place: -met[place])
        return [hits[place] for place in order], max(evidence, NAMED)
    others = any(around) and not all(part.kind == VERSION for part in asked)  # a version may be named in passing
    return list(hits), min(evidence, OTHERWISE_NAMED) if others else evidence


def _parts_of(hit: Hit) -> list[Part]:
    """The numbered parts that a passage, or a part of it, is in."""
    around = PartsAround(hit.locator.heading or "")
    return [part for line in hit.text.split("\n") for part in around.then(line)]


def name_path(hit: Hit) -> str:
    """What stands above a passage: its folder's and file's name, and its headings, joined by " > "."""
    return " > ".join([*file_names(hit.source), *filter(None, [hit.locator.heading])])


def _where(hits: Sequence[Hit], marks: Sequence[bool], wanted: bool) -> list[Hit]:
    return [hit for hit, mark in zip(hits, marks, strict=True) if mark is wanted]
