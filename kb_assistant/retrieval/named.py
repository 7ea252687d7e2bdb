"""Holds the passages against the date, the name with a number, or the numbered part of a document that a question
is for.

What one day's entry says isn't the answer for another day. The passages on what is named come first; where there
are none, but some on another day or code of the same kind, the answer is uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from kb_assistant.retrieval.relevance import NAMED
from kb_assistant.store import DOCUMENT_PREFIX
from kb_assistant.text.mentions import mentioned_above, mentions
from kb_assistant.text.numbered_parts import Part, PartsAround, asked_parts, count_met
from kb_assistant.types import Hit

OTHERWISE_NAMED = 0.6
"""Most evidence if the passages name only others: refused by nobody's usual threshold, but marked uncertain."""


def named_first(question: str, hits: Sequence[Hit], evidence: float) -> tuple[list[Hit], float]:
    """The passages, those first that are on what the question names, and the evidence."""
    if parts := asked_parts(question):
        hits, evidence = _parts_first(parts, hits, evidence)
    asked = mentions(question)
    if not asked or not hits:
        return list(hits), evidence
    said = [mentions(hit.text) for hit in hits]
    above = [mentioned_above(name_path(hit)) for hit in hits]
    met = [
        asked.is_met_by(one.or_else(over)) or asked.is_met_by(over) for one, over in zip(said, above, strict=True)
    ]
    if any(met):
        return [hit for there in (True, False) for hit, ok in zip(hits, met, strict=True) if ok is there], evidence
    denied = any(asked.is_denied_by(one.or_else(over)) for one, over in zip(said, above, strict=True))
    return list(hits), min(evidence, OTHERWISE_NAMED) if denied else evidence


def _parts_first(asked: Sequence[Part], hits: Sequence[Hit], evidence: float) -> tuple[list[Hit], float]:
    """The passages, those first that are in most of the numbered parts that are asked for. If one is, the answer
    isn't refused, whatever words are in it; where there are only other parts, it is uncertain."""
    around = [_parts_of(hit) for hit in hits]
    met = [count_met(asked, parts) for parts in around]
    if any(met):
        order = sorted(range(len(hits)), key=lambda place: -met[place])
        return [hits[place] for place in order], max(evidence, NAMED)
    return list(hits), min(evidence, OTHERWISE_NAMED) if any(around) else evidence


def _parts_of(hit: Hit) -> list[Part]:
    """The numbered parts that a passage, or a part of it, is in."""
    around = PartsAround(hit.locator.heading or "")
    return [part for line in hit.text.split("\n") for part in around.then(line)]


def name_path(hit: Hit) -> str:
    """What stands above a passage: its folder's and file's name, and its headings, joined by " > "."""
    path = PurePath(hit.source.removeprefix(DOCUMENT_PREFIX))
    names = (part.replace("_", " ") for part in (path.parent.name, path.stem))
    return " > ".join([*names, *filter(None, [hit.locator.heading])])
