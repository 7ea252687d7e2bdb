"""Completes a turn that is only a part of a question from the turns before it: a correction, a choice from a list,
a name alone, a comparison. Words decide; no model is asked.

Ordinary follow-ups ("and where is it?") stay as they are: a search joins them with the turns before.
"""
# ruff: noqa: E501 - a pattern a line

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb_assistant.text.analyzer import fold
from kb_assistant.text.conversation import weighing, with_subject
from kb_assistant.text.language import language_of
from kb_assistant.text.marks import unmarked
from kb_assistant.text.same_kind import exchanged
from kb_assistant.types import Turn


@dataclass(frozen=True, slots=True)
class Completed:
    """A turn as a question that can be searched.

    Attributes:
        question: Completed, or as asked.
        history: The earlier turns that still weigh.
        focus: What it asks about, where the conversation names it: passages on other things don't answer it.
        others: For a comparison the questions about each thing, to be searched besides.
    """

    question: str
    history: tuple[Turn, ...] = ()
    focus: str = ""
    others: tuple[str, ...] = ()


_FLAGS = re.IGNORECASE | re.DOTALL
_END = r"\s*[?？!！。.]*\s*"
_CORRECTIONS = tuple(
    re.compile(pattern + _END, _FLAGS)
    for pattern in (
        r"(?:(?:no|nope|sorry|wait|actually|oh|well)\b[,.!\s]*)*i(?:'m| am| was)?(?: actually)? (?:meant|mean|asking|talking|asked"
        r"|wanted to know|want to know|thinking)(?: to ask)?(?: about| of)? (?P<what>.+?)(?:, not .+|,? instead)?",
        r"(?:(?:no|nope|sorry|wait|actually)\b[,.!\s]+)+(?:not (?:that|this)(?: one)?[,.\s]+)?(?P<what>(?:the|about|for|of|in|at) .+?)"
        r"(?:, not .+|,? instead)?",
        r"(?:no[,.\s]+)?not .+?(?:,| but) (?:but )?(?P<what>.+?)",
        r"(?:(?:不|不是|不对|错了|抱歉|对不起|哦|噢)[，,。.！!\s]*)*(?:我(?:想|要|是想|是要|刚才)?(?:问|说|指|讲)的?是?|我的意思是|我是(?:问|说|指))"
        r"(?P<what>.+?)(?:[，,]?(?:而)?不是.+)?",
        r"(?:不[，,]\s*)?(?:我)?不是(?:问|说|指|要)?[^，,]+[，,]\s*(?:而|我)?(?:问的|说的|指的)?是(?P<what>.+?)",
    )
)
_ALONE = tuple(
    re.compile(pattern + _END, _FLAGS)
    for pattern in (
        r"(?:and|or|but|ok|so)?,?\s*(?:what about|how about) (?P<what>.+?)",
        r"(?:and|or) (?P<what>.+?)",
    )
)
_ZH_ALONE = re.compile(r"(?:哦|嗯|好的?)*[，, ]*(?:那么?|还有|以及)?(?:换成)?(?P<what>[\w·-]{1,12})呢" + _END)
_QUESTION = re.compile(
    r"[?？]|\b(?:who|whose|when|where|what|which|why|how)\b|^(?:is|are|was|were|do|does|did|can|could|will|would|has|have)\b"
    r"|什么|谁|哪|几[个点月号天年]|多少|多[大长久高远重]|怎么|如何|是否|有没有|吗|为何|为什么",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"(?:for|in|on|at|with|by|to|from|of|about|during|after|before|without)\b", re.IGNORECASE
)
_PRONOUN = re.compile(
    r"\b(?P<own>its|his|her|their)\b|\b(?:it|he|she|they|him|them|that one|this one)\b|[它他她]们?", re.IGNORECASE
)
_PERSON = re.compile(r"\b(?P<own>his|her(?= \w)|their(?= \w))\b|\b(?:he|she|they|him|her|them)\b", re.IGNORECASE)
_WHO = re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)
_FULL_NAME = re.compile(r"\b[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)+")
_IT = re.compile(r"\b(?P<own>its)\b|\bit\b|它", re.IGNORECASE)
# A name: capital letters within a sentence, or what a Chinese question says something of.
_NAME = re.compile(r"(?<=[\w,;:] )(?:the |a |an )?[A-Z][\w'-]*(?: (?:of |the |and )?[A-Z0-9][\w'-]*)*")
_OWNER = re.compile(
    r"^(?:请问|请|介绍一下|介绍|说说|告诉我|关于)*(?P<name>[^\W的它他她这那我你哪谁是有]{2,16})的(?=\w)"
)
_SUBJECT = re.compile(
    r"^(?:请问|那么?)*(?P<name>[^\W的它他她这那我你哪谁是有]{5,16}?)(?:是?由?谁|是?什么时候|有[多几]|在哪|位于)"
)
"""The same of a long name, of an organisation or a place; a short one may be what is looked for, such as tickets."""


MOST_WORDS = 6
"""Most words of a name that stands alone."""

_ORDINALS = {
    "first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "sixth": 5, "last": -1, "former": 0, "latter": -1,
    "一": 0, "二": 1, "两": 1, "三": 2, "四": 3, "五": 4, "六": 5, "七": 6, "八": 7, "九": 8, "十": 9,
}  # fmt: skip
_CHOICE = re.compile(
    r"\bthe (?P<en>first|second|third|fourth|fifth|sixth|last|former|latter)(?: (?:one|item|option|course|entry))?\b"
    r"|\b(?:number|no\.|option|item) (?P<number>\d{1,2})\b|第(?P<zh>[一二三四五六七八九十]|\d{1,2})(?:个|种|条|项|款|门|份|位)?"
    r"|(?P<last>最后(?:面)?的?(?:一)?(?:个|种|条|项|款|门|份|位)?|后者)|(?P<former>前者)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\s*(?:\d{1,2}[.)、]|[-*•·])\s*(?P<text>.+)$", re.MULTILINE)
_LABEL = re.compile(r"[:：,，(（;；。—–]|\.\s| - ")

_WITH = tuple(
    re.compile(pattern + _END, _FLAGS)
    for pattern in (
        r"(?:and )?(?:compare (?:it|that|this|them) (?:to|with)|compared (?:to|with)|versus|vs\.?) (?P<what>.+?)",
        r"(?:and )?(?:is|are|was|does) (?:it|that|this|they) \w+ than (?P<what>.+?)",
        r"(?:它|这个|那个|那)?(?:和|跟|与|同|比起|相比)(?P<what>.+?)(?:相比|比较|比起来|比|对比)(?:一下|呢|的话|怎么样|起来|如何)*[，,]?"
        r"(?:哪个|哪一个|谁|哪边|哪家)?(?:更|比较)?[\w]{0,3}",
        r"(?:它|这个|那个)?比(?P<what>.+?)(?:更)?(?:大|小|多|少|高|低|贵|便宜|长|短|快|慢|重|轻|远|近|早|晚|好)(?:吗|多少|一些|一点)*",
    )
)
_ZH_THING = r"[^\W和跟与哪谁]{1,12}?"
_BOTH = tuple(
    re.compile(pattern + _END, _FLAGS)
    for pattern in (
        r"(?:please |can you )?compare (?P<rest>.*? of )?(?P<one>.+?) (?:and|with|to|versus|vs\.?) (?P<other>.+?)",
        r"(?P<rest>(?:which|who|what)\b[^,:]*?)[,:]\s*(?P<one>[^,]+?) or (?P<other>[^,]+?)",
        r"(?:what(?:'s| is) )?(?:the )?differences? (?P<rest>in .+? )?between (?P<one>.+?) and (?P<other>.+?)",
        rf"(?:请)?(?:比较|对比)(?:一下)?(?P<one>{_ZH_THING})(?:和|跟|与)(?P<other>{_ZH_THING})(?:的(?P<rest>[^的]+))?",
        rf"(?P<one>{_ZH_THING})(?:和|跟|与|还是)(?P<other>{_ZH_THING})(?:相比|比较|比起来|比)?[，,]?"
        r"(?P<rest>(?:哪个|哪一个|谁|哪家|哪种)的?(?:更|比较)?\w{0,4}?(?:大|小|多|少|高|低|贵|便宜|长|短|快|慢|重|轻|远|近|早|晚|好|强|深|老))",
        rf"(?P<one>{_ZH_THING})(?:和|跟|与)(?P<other>{_ZH_THING})(?:之间)?(?:有)?(?:什么|哪些|啥)?的?"
        r"(?P<rest>区别|不同|差别|差异)(?:是什么|在哪里?|有哪些)?",
    )
)


def completed(question: str, history: Sequence[Turn]) -> Completed:
    """The turn as a question of its own, if it is only part of one; else as it is.

    Args:
        history: The earlier turns, oldest first. A refused question weighs nothing, but what was meant instead of
            it can't be understood without it.
    """
    before: tuple[Turn, ...] = ()
    for turn in with_subject(history):
        before = (*before, replace(turn, question=_completed(turn.question, before, people=False).question))
    done = _completed(question, before)
    return replace(done, history=weighing(done.history))


def _completed(question: str, before: tuple[Turn, ...], people: bool = True) -> Completed:
    """
    Args:
        people: Whether the name of whom the last turn asked for stands for "she". Not in an earlier question: "it"
            would then seem to mean the person.
    """
    text = fold(question)
    if both := _first(_BOTH, text):
        rest = (both["rest"] or "").strip()
        return Completed(
            question, before, others=tuple(f"{_bare(both[n])} {rest}".strip() for n in ("one", "other"))
        )
    last = next((turn for turn in reversed(before) if turn.question), None)
    if last is None:
        return Completed(question, before)
    if compared := _first(_WITH, text):
        other = _about(last.question, _bare(compared["what"]), before)
        return Completed(question, before, others=(last.question, other))
    return (
        _corrected(text, last, before)
        or _chosen(text, last, before)
        or _named(question, text, last, before)
        or _resolved(question, last, before, people)
    )


def _corrected(question: str, last: Turn, before: tuple[Turn, ...]) -> Completed | None:
    """What was meant instead, as a question; the answer to what wasn't meant no longer weighs."""
    if (meant := _first(_CORRECTIONS, question)) is None:
        return None
    what = _bare(re.sub(r"^about ", "", meant["what"].strip()))
    if _QUESTION.search(what):
        return Completed(what, before[:-1])
    return Completed(_about(last.question, what, before), before[:-1], _focus(what))


def _named(question: str, text: str, last: Turn, before: tuple[Turn, ...]) -> Completed | None:
    """A name alone stands in the last question for the name there; other words only say what is looked for."""
    if not (alone := _first((*_ALONE, _ZH_ALONE), text)):
        return None
    what = re.sub(r"['’]s?$|的$", "", _bare(alone["what"]))
    if not what or _QUESTION.search(what) or len(what.split()) > MOST_WORDS:
        return None
    stands = _is_name(what) and (_PRONOUN.search(last.question) or _name_in(last.question))
    if stands or exchanged(last.question, what):
        return Completed(_about(last.question, what, before), before[:-1], what)
    return Completed(question, before, _focus(what))


def _focus(what: str) -> str:
    """The thing that a part of a question names; "" if it says more."""
    return (
        re.sub(rf"^{_PREPOSITION.pattern} ", "", what, flags=re.IGNORECASE)
        if len(what.split()) <= MOST_WORDS
        else ""
    )


def _is_name(text: str) -> bool:
    return any(word[0].isupper() or word[0].isdigit() for word in text.split())


def _resolved(question: str, last: Turn, before: tuple[Turn, ...], people: bool) -> Completed:
    """The name in the last question in place of "it"; that of whom it asked for in place of "she"."""
    it, name = _IT.search(question), _name_in(last.question)
    if it is None and people and _WHO.search(last.question):
        it, name = _PERSON.search(question), _full_name_in(last.answer)
    if it is None or not name or _name_in(question):
        return Completed(question, before)
    own = f"{name}'s" if it["own"] else name
    return Completed(question[: it.start()] + own + question[it.end() :], before, name)


def _about(asked: str, what: str, before: Sequence[Turn]) -> str:
    """The question asked before, about something else."""
    if other := exchanged(asked, what):
        return other
    for turn in reversed(before):
        if label := next((label for label in _items(turn.answer) if label in asked), ""):
            return asked.replace(label, what)
    if not _PREPOSITION.match(what):
        if pronoun := _PRONOUN.search(asked):
            own = f"{what}'s" if pronoun["own"] else what
            return asked[: pronoun.start()] + own + asked[pronoun.end() :]
        if name := _name_in(asked):
            return asked.replace(name, what)
    return f"{what}{asked}" if language_of(asked) == "zh" else f"{asked} {what}"


def _name_in(question: str) -> str:
    if found := _NAME.search(question):
        return re.sub(r"['’]s?$", "", found[0])
    named = _OWNER.search(fold(question)) or _SUBJECT.search(fold(question))
    return named["name"] if named else ""


def _full_name_in(answer: str) -> str:
    """The only full name in the first line of an answer."""
    names = dict.fromkeys(_FULL_NAME.findall(unmarked(answer).partition("\n")[0]))
    return next(iter(names)) if len(names) == 1 else ""


def _chosen(question: str, last: Turn, before: tuple[Turn, ...]) -> Completed | None:
    """A choice from the last list that was given: the item's name stands for it."""
    choice = _CHOICE.search(question)
    items = next((items for turn in reversed(before) if len(items := _items(turn.answer)) > 1), [])
    if choice is None or (place := chosen_place(question, len(items))) is None:
        return None
    label = items[place]
    asked = question.replace(choice[0], label)
    if _first((*_ALONE, _ZH_ALONE), question) or _bare(asked) == label:
        return Completed(_about(last.question, label, before), before[:-1], label)
    return Completed(asked, before, label)


def chosen_place(question: str, count: int) -> int | None:
    """Place of the item that a question chooses from a list of `count`, from 0, or -1 for the last; None if it
    chooses none of them.

    >>> chosen_place("the second one please", 3), chosen_place("最后一个", 3), chosen_place("the fourth", 3)
    (1, -1, None)
    """
    choice = _CHOICE.search(question)
    place = _place(choice) if choice else count
    return place if -count <= place < count else None


def asks(text: str) -> bool:
    """Whether a turn is worded as a question of its own."""
    return _QUESTION.search(text) is not None


def _place(choice: re.Match[str]) -> int:
    if choice["last"] or choice["former"]:
        return -1 if choice["last"] else 0
    said = (choice["en"] or choice["zh"] or choice["number"]).lower()
    return max(int(said) - 1, 0) if said.isdigit() else _ORDINALS[said]


def _items(answer: str) -> list[str]:
    """The names of a list's items."""
    texts = [item["text"] for item in _ITEM.finditer(unmarked(answer))]
    return [name for text in texts if (name := _LABEL.split(text.replace("*", "").strip(), maxsplit=1)[0].strip())]


def _bare(text: str) -> str:
    return text.strip().strip("?？!！。.,， ").strip()


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> re.Match[str] | None:
    return next(filter(None, (pattern.fullmatch(text.strip()) for pattern in patterns)), None)
