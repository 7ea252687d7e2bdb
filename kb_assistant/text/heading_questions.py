"""Questions that headings suggest, as people would ask them, in the heading's language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from kb_assistant.text import heading_questions_en, heading_questions_zh
from kb_assistant.text.language import language_of

LONGEST_HEADING = 60

_LOOKED_AT = 50
"""Most passages of a document whose headings are looked at."""

_NUMBERED = re.compile(
    r"(?i:chapter|section|part|step|paragraph|article|appendix|figure|table|lesson|unit|slide|page|sheet)?[\W\d_]*"
)
_ENUMERATED = re.compile(
    r"(?:\(?\d+(?:\.\d+)*[.):、．]?|[IVX]+[.)]|[A-Z][.)]|§\s*\d+\w?|(?i:chapter|section|part|step|appendix)\s+\w{1,3}\b[.:]?"
    r"|[（(]?[一二三四五六七八九十百]+[)）、.．]|第[一二三四五六七八九十百\d]+[章节條条部篇])[\s:：–—-]*(?=\D)"
)
"""Number of a heading."""
_IN_BRACKETS = re.compile(r"\s*(?:（[^（）]*）|\([^()]*\)|\[[^\[\]]*\])\s*$")
_MARKUP = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)|^#+ ")
_EXPLAINS = re.compile(r"[:：]\s|：|\s[–—|-]\s|——")


def questions_about(passages: Iterable[tuple[str, str]], title: str = "") -> dict[str, str]:
    """Questions about the headings of a document, by heading, in reading order.

    Args:
        passages: Heading and text of each.
        title: The document's: what its headings are about, where they don't say it themselves.
    """
    some = list(islice(passages, _LOOKED_AT))
    text = "\n".join(text for _, text in some)
    asked = {heading: question_about(_under(title, heading), text) for heading, _ in some}
    return {heading: question for heading, question in asked.items() if question}


def _under(title: str, heading: str) -> str:
    """A heading under the document's title, unless it stands under one already or is the title."""
    alone = title and heading and " > " not in heading and title.casefold() not in heading.casefold()
    return f"{title} > {heading}" if alone else heading


def question_about(heading: str, text: str = "") -> str:
    """A question about a heading; "" if the heading says too little or too much to ask about.

    Args:
        heading: Headings from the document's title on, " > " between them.
        text: Some of the document: it tells which of the heading's words are names, and which take an article.

    >>> question_about("Tidewell: the tide energy project > The turbines")
    'What should I know about the turbines of Tidewell?'
    """
    *above, last = (part.strip() for part in heading.split(" > "))
    told = _MARKUP.sub("", last)
    if told.endswith(("?", "？")):
        return told if len(told) <= 2 * LONGEST_HEADING else ""
    topic = _name(above[0]) if above else ""
    told = _IN_BRACKETS.sub("", _without_number(told)).rstrip(" :：.。") or told
    told = told if above else _name(told)
    if not 2 <= len(told) + (language_of(told) == "zh") <= LONGEST_HEADING or _NUMBERED.fullmatch(told):
        return ""
    if topic.casefold() in told.casefold():
        topic = ""
    if language_of(told) == "zh":
        return heading_questions_zh.question(told, topic)
    return heading_questions_en.question(told, topic, text)


def _without_number(heading: str) -> str:
    found = _ENUMERATED.match(heading)
    return heading[found.end() :].strip() if found else heading


def _name(title: str) -> str:
    """A title without what explains it."""
    return _IN_BRACKETS.sub("", _MARKUP.sub("", _EXPLAINS.split(_without_number(title), maxsplit=1)[0])).strip()
