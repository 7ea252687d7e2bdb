"""What earlier turns mean for the next: which of them weigh in a search, and whether a turn can be understood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from kb_assistant.text.analyzer import analyze_query, fold
from kb_assistant.text.dialogue_acts import COURTESIES, dialogue_act
from kb_assistant.text.replies import is_reply
from kb_assistant.text.wording import is_refusal
from kb_assistant.types import Turn

# Pronouns, and how many telling words a question may have beside them that still can't be understood without what
# they stand for. "It" may stand for nothing, as in "is it safe to swim here", and "this" for this place.
_PRONOUNS = (
    (re.compile(r"\b(?:he|him|his|she|her|hers|them|their)\b|[他她它]们?", re.IGNORECASE), 2),
    (re.compile(r"\b(?:it|its)\b", re.IGNORECASE), 1),
    (
        re.compile(
            r"\b(?:this|that|these|those|they|one)\b|[这那](?:个|些|里|儿|么)?"
            r"|(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )\bthere\b(?!\s*\w)",
            re.IGNORECASE,
        ),
        0,
    ),
)
_CLAUSE = re.compile(r"[,;.!?，；。！？]+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_ELLIPSIS = re.compile(
    r"(?:and|but|or|what about|how about|and what about|and how about)\b.*"
    r"|why(?: not)?|how so|how come|when|where|who|what|which one|what time"
    r"|how(?: much| many| long| far| often| old| big)?"
    r"|(?:the )?(?:first|second|third|fourth|fifth|last|other|latter|former|next) (?:one)?s?"
    r"|(?:要|在|是|需要)?(?:多少钱?|几点钟?|多久|多长时间|什么时候|何时|哪里|哪儿|哪个|谁|什么|怎么办)[啊呀]?"
    r"|(?:那|那么|还有|以及)?.{0,12}呢|为什么|为啥|怎么会|然后|第[一二三四五六七八九十\d]+[个种条项份]?|最后一?[个种条项份]",
    re.IGNORECASE,
)
# What says nothing of the subject, beside the stop words.
_LIGHT = frozenset(
    "much many long far old high big tall often cost take open close start begin end happen mean work know".split()
)
_ZH_LIGHT = re.compile(
    r"(?:什么时候|啥时候|怎么|几点|多久)(?:要|能|可以)?[上去来到走做办弄用付交修][吗呢啊呀]?$"
    r"|什么时候|为什么|怎么样|多少钱|什么|怎么|多少|几点|多[久长大远高重宽深快]|[哪几][个里儿些年月天位种]|价格"
    r"|地方|名字|开门|关门|开放|开始|结束"
    r"|有没有|是不是|能不能|可以|谁|请问|告诉我|介绍|一下|知道|觉得|还记得|了解|听说|[哦嗯哇噢我你您]|[的是了吗呢吧啊呀哪在有叫做要能会和与从到被把就都也还]"
)


def weighing(history: Sequence[Turn]) -> tuple[Turn, ...]:
    """The earlier turns that say what the next is about: those with a subject that weren't refused."""
    return tuple(turn for turn in with_subject(history) if not is_refusal(turn.answer))


def with_subject(history: Sequence[Turn]) -> tuple[Turn, ...]:
    """The earlier turns without courtesies and questions about the knowledge base. Wishes about an answer keep
    only what was answered."""
    kept = []
    for turn in history:
        kind = dialogue_act(turn.question).kind
        if not is_reply(turn.answer) and kind not in COURTESIES and kind != "about":
            kept.append(replace(turn, question="") if kind in ("more", "form") else turn)
    return tuple(kept)


def is_unclear(question: str) -> bool:
    """Whether a first question can't be understood: it leaves out its subject, or has a pronoun in its place.

    >>> [is_unclear(one) for one in ("When did he start?", "and for members?", "Is it safe to swim?")]
    [True, True, False]
    >>> [is_unclear(one) for one in ("can I extend it?", "is tea better with milk in it?")]
    [True, False]
    """
    text = fold(question).strip().rstrip("?？!！。. ")
    if _ELLIPSIS.fullmatch(text):
        return True
    for pronoun, most in _PRONOUNS:
        if found := pronoun.search(text):
            # What stands before the pronoun may be what it means, but not a single verb whose object it is.
            before, after = text[: found.start()], text[found.end() :]
            return _is_object(before, after) or (not telling(before) and len(telling(after)) <= most)
    return False


def points_back(question: str) -> bool:
    """Whether a question has a pronoun whose meaning isn't named before it in the same clause.

    >>> points_back("When did she leave?"), points_back("Does a pump stop when it is cold?")
    (True, False)
    """
    for clause in _CLAUSE.split(fold(question)):
        for pronoun, _ in _PRONOUNS:
            if found := pronoun.search(clause):
                before, after = clause[: found.start()], clause[found.end() :]
                if not telling(before) or _is_object(before, after):
                    return True
    return False


def _is_object(before: str, after: str) -> bool:
    """Whether a pronoun ends what is said, behind one word that says something: a verb."""
    return not after.strip("?？!！。.， ,") and len(telling(before)) <= 1


def names_nothing(question: str) -> bool:
    """Whether a turn says nothing of its subject: it means what the turns before did.

    >>> [names_nothing(one) for one in ("Why?", "and where is it?", "它在哪里？", "and the weather?")]
    [True, True, True, False]
    """
    return not telling(without_pronouns(question))


def without_pronouns(question: str) -> str:
    """The question without pronouns and, in Chinese, without what says nothing of its subject."""
    text = fold(question)
    for pronoun, _ in _PRONOUNS:
        text = pronoun.sub(" ", text)
    return _ZH_LIGHT.sub(" ", text)


def telling(text: str) -> list[str]:
    """The words, or in Chinese pieces of two characters, that say what a question is about."""
    words = [word for word in analyze_query(_HAN.sub("", text)) if word not in _LIGHT]
    left = "".join(_HAN.findall(_ZH_LIGHT.sub("", text)))
    return words + [left[place : place + 2] for place in range(0, len(left), 2)]
