"""What a question asks for, by its form: a person, a date, a number, a place; more than that; or two things."""

from __future__ import annotations

import re

_ASKING = (
    r"(?:\b(?:who|whom|whose|when|where|what|which|why|how)\b"
    r"|谁|什么|哪|几[点个]|多少|多[长久大高远]|何时|怎[么样]|如何)"
)
_LONGEST_QUESTION = 400  # characters; the time of the pattern grows faster than the length
_TWO_QUESTIONS = re.compile(
    rf"(.*{_ASKING}.*?)(?:,?\s+and\s|[,;，；、]|以及|还有|并且)(.*{_ASKING}.*)", re.IGNORECASE | re.DOTALL
)
_NUMBER = re.compile(
    r"\d|[零一二三四五六七八九十百千万亿两]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten)\b"
)
_DATE = re.compile(
    r"\d{4}|\d[点时:年月日号]|[一二三四五六七八九十〇]+[年月日点]|星期|周[一二三四五六日]"
    r"|\b(?:[Mm]on|[Tt]ues|[Ww]ednes|[Tt]hurs|[Ff]ri|[Ss]atur|[Ss]un)days?\b|\d\s?(?:[ap]\.?m\b|th\b|st\b|nd\b|rd\b)"
    r"|\b(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)"
)
_NAME = re.compile(r"(?<=[\w,;:] )[A-Z][\w'’-]+|由.{2,6}?[于在创发建设负管主担]|·|名叫|叫做|担任|[生士授师员长]是")
_PLACE = re.compile(r"(?<=[\w,] )[A-Z]\w+|位于|坐落|地处|[省市县区镇村路街号楼室]|\b(?:in|at|on|near) the\b")
KINDS = (
    (re.compile(r"\b(?:who|whose|whom)\b|谁|哪位|何人", re.I), _NAME),
    (re.compile(r"\b(?:when|what (?:year|date|time))\b|什么时候|何时|哪一?年|几[点月号]|哪[天日]", re.I), _DATE),
    (re.compile(r"\bhow (?:many|much|long|old|far|high|tall|often)\b|多少|几|多[长高大远久]", re.I), _NUMBER),
    (re.compile(r"\bwhere\b|哪里|哪儿|何处|什么地方", re.I), _PLACE),
)
_WHICH = re.compile(
    r"\b(?:which|names?|numbers?|passwords?|prices?|costs?|fees?|phone|address|e-?mail)\b"
    r"|哪|几|名[字称]|叫什么|号码|密码|价格|费用|电话|地址|邮箱",
    re.I,
)
_ASKS = re.compile(
    rf"{_ASKING}|\b(?:explain|describe|tell|compare|difference)\b|介绍|说明|说说|讲讲|解释|区别|比较"
    r"|\A\W*(?:is|are|was|were|do|does|did|can|could|may|should|will|would|has|have|had)\b|[吗么][？?]?\s*\Z",
    re.I,
)

_SEVERAL = re.compile(
    r"\bwhat(?:['’]s| is| are| was| were| has been| have been)?"
    r" (?:new|changed|added|removed|fixed|included|excluded)\b"
    r"|\bwhat are\b|\bwhich (?!is\b|was\b|\w*ss\b)\w+s\b|\b(?:list|name) (?:all|the|every)\b"
    r"|哪些|哪几[个种条项样]|有什么新|都有[什谁哪]",
    re.I,
)
_YES_OR_NO = re.compile(
    r"\A\W*(?:is|are|was|were|do|does|did|can|could|may|should|will|would|must|has|have|had)\b"
    r"|[吗么][？?]?\s*\Z|有没有|是否|是不是|能不能|可不可以|会不会|要不要",
    re.I,
)

_ROLE_ENDS = "长员师者人生任理事席主管家手位们方导板么"
_NAME_ASKED = re.compile(
    r"\A\W*(?:who|what)(?:'s|\s+is|\s+was|\s+are|\s+were)\s+(?!(?:the|a|an|your|my|our|their|his|her|its|in|on|at|it|this|that"
    r"|new|changed|added|removed|fixed|included|excluded)\b)"
    r"(?P<english>[\w .'’-]{2,60}?)[\s?？!.]*\Z"
    rf"|\A(?:请问|那|那么)?(?P<chinese>[^\s，,。？?]{{2,12}})(?<![{_ROLE_ENDS}])(?:是谁|是什么人|是哪位|是干什么的|是做什么的|是干嘛的)"
    r"[呀啊呢？?。\s]*\Z",
    re.I,
)


def is_open(question: str) -> bool:
    """Whether a question wants more than a name, a date, a number or a place; bare words don't tell.

    >>> is_open("How does the pump work?"), is_open("How many pumps are there?"), is_open("pump")
    (True, False, False)
    """
    narrow = any(asked.search(question) for asked, _ in KINDS) or _WHICH.search(question)
    return not narrow and _ASKS.search(question) is not None


def asks_for_several(question: str) -> bool:
    """Whether a question wants all of a list.

    >>> [asks_for_several(one) for one in ("What is new in June?", "Which keys?", "Which key?", "有哪些假期")]
    [True, True, False, True]
    """
    return _SEVERAL.search(question) is not None


def is_yes_or_no(question: str) -> bool:
    """Whether a question asks if something is so.

    >>> is_yes_or_no("Is there a tower?"), is_yes_or_no("有观鸟塔吗？"), is_yes_or_no("Who can swim?")
    (True, True, False)
    """
    return _YES_OR_NO.search(question) is not None and not any(asked.search(question) for asked, _ in KINDS)


def name_asked(question: str) -> str:
    """The name that a question asks about, if it asks who somebody or what something of a name is; else "".

    >>> [name_asked(one) for one in ("who is Ann Fell?", "周海洋是谁", "who is the keeper?", "站长是谁")]
    ['Ann Fell', '周海洋', '', '']
    """
    found = _NAME_ASKED.match(question)
    return (found["english"] or found["chinese"]).strip() if found else ""


def two_questions(question: str) -> list[str]:
    """The parts of a question for two things, of which the reader marks the answer to one; else nothing.

    >>> two_questions("When is it launched, and how long does it fly?")
    ['When is it launched', 'how long does it fly?']
    """
    found = _TWO_QUESTIONS.fullmatch(question) if len(question) <= _LONGEST_QUESTION else None
    return [part.strip() for part in found.groups()] if found else []
