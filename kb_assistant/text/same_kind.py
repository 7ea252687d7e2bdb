"""Exchanges in a question the one day, month, ordinal, code or number for another: "and on Sunday?", 那E6呢."""

from __future__ import annotations

import re

_KINDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|(?:周|星期|礼拜)[一二三四五六日天末]",
        r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b"
        r"|(?:1[0-2]|[1-9]|十[一二]?|[一二三四五六七八九])月份?",
        r"\b(?:first|second|third|fourth|fifth|sixth|last)\b|第(?:[一二三四五六七八九十]{1,3}|\d{1,3})[^\W\d]?",
        r"(?<![a-z0-9.])[a-z]{1,6}-?\d[a-z0-9-]*|(?<![a-z0-9.])\d+(?:\.\d+)+(?![a-z0-9.])",
        r"(?<![a-z0-9.,:])\d+(?:[.,:]\d+)*(?![a-z0-9]|[.,:]\d)",
    )
)
"""What a part of a question may name in place of another of its kind: days, months, ordinals, codes, numbers."""
_SMALL = frozenset("for in on at with by to from of about the and or a an then 那 那么 呢".split())


def exchanged(asked: str, what: str) -> str:
    """The question asked before with another day, month, ordinal, code or number in place of its only one; "" if
    what stands alone is none, or of another kind.

    >>> exchanged("what changed in 5.3.0", "in 5.2.4"), exchanged("周一有什么课", "周四")
    ('what changed in 5.2.4', '周四有什么课')
    """
    for kind in _KINDS:
        said, there = kind.search(what), list(kind.finditer(asked))
        if said and len(there) == 1:
            beside = _words(what[: said.start()] + " " + what[said.end() :])
            same = said[0].casefold() == there[0][0].casefold()
            known = beside <= _words(asked) | _SMALL
            return asked[: there[0].start()] + said[0] + asked[there[0].end() :] if known and not same else ""
    return ""


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.casefold()))
