"""Ranks the passages' sentences by how well they answer: by shared words, meaning, and what is asked for.

Uses no language model. Not done here: finding passages, changing sentences.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kb_assistant.text.analyzer import analyze, analyze_query, codes
from kb_assistant.text.file_names import on_another
from kb_assistant.text.marks import unmarked
from kb_assistant.text.mentions import Mentions, mentioned_above, mentions
from kb_assistant.text.numbered_parts import Part, PartsAround, asked_parts, count_met
from kb_assistant.text.sentences import sentences

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


class SentenceEmbeddings(Protocol):
    """The embedder interface that ExtractChat needs: rows of length 1."""

    def encode_queries(self, texts: list[str], /) -> Vectors: ...

    def encode_passages(self, texts: list[str], /) -> Vectors: ...


# Weights of the features, tuned on English and Chinese reading tests.
_MEANING = 1.0
_PASSAGE = 0.3
_CARRY = 0.4
_CODE = 2.0
_RANK = 0.1
_KIND = 0.3
# For a follow-up: the words of the previous turn, and the meaning of both turns together.
_EARLIER = 0.2
_JOINED = 0.25
# Meanings are compared for this many sentences, the best by their words: embedding costs time.
_COMPARED = 16
# A sentence this much worse than the best isn't quoted, nor one that says nearly the same.
_RELATIVE = 0.8
# How much less a marked answer counts for each passage before its own, and how much less sure than the best one a
# further one may be; both in logits.
_LATER, _AS_GOOD = 0.15, 0.3
_QUESTION = re.compile(r"[?？][*_\"'”’」）)\s]*\Z")
_SAME = 0.9

_GOES_ON = re.compile(r"(?:It|Its|He|His|She|Her|They|Their|This|These)\b|[它他她其该这]")
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
_KINDS = (
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


@dataclass(frozen=True)
class Sentence:
    """One sentence of a passage; `passage` counts from 1."""

    text: str
    passage: int

    @cached_property
    def terms(self) -> frozenset[str]:
        return frozenset(analyze(self.text))


def quote(
    question: str,
    passages: Sequence[str],
    *,
    earlier: str = "",
    focus: str = "",
    headings: Sequence[str] = (),
    among: Collection[Sentence] = (),
    embeddings: SentenceEmbeddings | None = None,
    most: int = 3,
    characters: int = 300,
) -> list[Sentence]:
    """The sentences that answer best, in the order of the passages.

    Args:
        question: The question of this turn.
        passages: The passages found for it, best first.
        earlier: The question of the previous turn; it gives the topic of a follow-up.
        focus: What the question asks about, if known; what says nothing of it isn't quoted, unless nothing does.
        headings: The headings of the passages.
        among: Only these sentences are quoted; all if there are none.
        embeddings: Compares meanings; without it only words are compared.
        most: Most sentences.
        characters: Longest total; the best sentence is always quoted whole.
    """
    found: list[Sentence] = []
    for number, passage in enumerate(passages, start=1):
        found += _telling([Sentence(text, number) for text in _unmarked_sentences(passage)])
    if not found:
        return []
    scores = _scores(question, earlier, found, embeddings)
    places: Sequence[int] = _on(focus, found, headings) or range(len(found))
    places = [place for place in places if found[place] in among] or places
    picked: list[int] = []
    for place in sorted(places, key=lambda i: -scores[i]):
        room = characters - sum(len(found[i].text) for i in picked)
        if picked and (scores[place] < _RELATIVE * scores[picked[0]] or len(picked) == most):
            break
        if picked and (len(found[place].text) > room or any(_same(found[place], found[i]) for i in picked)):
            continue
        picked.append(place)
    return list(dict.fromkeys(_with_answer(found[i], passages) for i in sorted(picked)))


def quote_answers(
    passages: Sequence[str],
    answers: Sequence[tuple[int, int, float] | None],
    *,
    on: bool = False,
    most: int = 3,
    characters: int = 300,
) -> list[Sentence]:
    """The sentences that hold the answers which the reader marked, in the order of the passages; none if it marked
    none.

    Args:
        answers: Start, end and score, from 0 to 1, of the answer in each passage.
        on: Whether the paragraphs are quoted on, as far as there is room.
        most: Most sentences.
        characters: Longest total; the best sentence is always quoted whole.
    """
    marked = [
        (_logit(answer[2]) - _LATER * number, Sentence(text, number))
        for number, (passage, answer) in enumerate(zip(passages, answers, strict=True), start=1)
        if answer and (text := _sentence_at(passage, answer[0], answer[1]))
    ]
    marked.sort(key=lambda one: -one[0])
    picked: list[Sentence] = []
    for score, sentence in marked[:most]:
        room = characters - sum(len(one.text) for one in picked)
        if picked and (score < marked[0][0] - _AS_GOOD or len(sentence.text) > room):
            break
        if not any(_same(sentence, one) for one in picked):
            picked.append(sentence)
    if on:
        picked = _quoted_on(picked, passages, most, characters)
    return sorted(picked, key=lambda one: one.passage)


def _quoted_on(picked: Sequence[Sentence], passages: Sequence[str], most: int, characters: int) -> list[Sentence]:
    """The sentences, each with those behind it in its paragraph as far as there is room; the first ones first."""
    found, count, room = [], len(picked), characters - sum(len(one.text) for one in picked)
    for one in picked:
        found.append(one)
        for text in _behind(one, passages[one.passage - 1]):
            following = Sentence(text, one.passage)
            if count >= most or len(text) > room or following in picked:
                break
            found.append(following)
            count, room = count + 1, room - len(text)
    return found


def _behind(sentence: Sentence, passage: str) -> list[str]:
    """The sentences behind one in its line."""
    line = next((line for line in passage.splitlines() if sentence.text in unmarked(line)), "")
    texts = _unmarked_sentences(line)
    return texts[texts.index(sentence.text) + 1 :] if sentence.text in texts else []


def is_open(question: str) -> bool:
    """Whether a question wants more than a name, a date, a number or a place; bare words don't tell.

    >>> is_open("How does the pump work?"), is_open("How many pumps are there?"), is_open("pump")
    (True, False, False)
    """
    narrow = any(asked.search(question) for asked, _ in _KINDS) or _WHICH.search(question)
    return not narrow and _ASKS.search(question) is not None


def two_questions(question: str) -> list[str]:
    """The parts of a question for two things, of which the reader marks the answer to one; else nothing.

    >>> two_questions("When is it launched, and how long does it fly?")
    ['When is it launched', 'how long does it fly?']
    """
    found = _TWO_QUESTIONS.fullmatch(question) if len(question) <= _LONGEST_QUESTION else None
    return [part.strip() for part in found.groups()] if found else []


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
    if parts := asked_parts(question):
        return _in_parts(parts, passages, names)
    asked = mentions(question)
    others = _on_other_files(question, passages, names, answered) if names else set()
    if not asked and not others:
        return []
    found: list[tuple[Sentence, tuple[bool, bool, bool]]] = []
    for number, passage in enumerate(passages, start=1):
        if number in others:
            continue
        above = mentioned_above(names[number - 1] if names else "")
        only = mentions(passage).dates
        before = Mentions()
        for text in _unmarked_sentences(passage):
            before = mentions(text).or_else(before)
            on = before.or_else(above).or_else(Mentions(only if len(only) == 1 else frozenset()))
            found.append((Sentence(text, number), asked.shares(on)))
    kept = found
    for sort in range(3):
        kept = [one for one in kept if one[1][sort]] or kept
    return [sentence for sentence, _ in kept] if others or any(any(shared) for _, shared in kept) else []


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
        for text in _unmarked_sentences(passage):
            found.append((Sentence(text, number), count_met(asked, around.then(text))))
    most = max((met for _, met in found), default=0)
    return [sentence for sentence, met in found if met == most] if most else []


def on_focus(focus: str, passages: Sequence[str], headings: Sequence[str] = ()) -> list[Sentence]:
    """The sentences that say something of the focus, if any does: see `quote`."""
    found = [
        Sentence(text, number) for number, one in enumerate(passages, start=1) for text in _unmarked_sentences(one)
    ]
    return [found[place] for place in _on(focus, found, headings)]


def with_code(question: str, found: Sequence[Sentence]) -> list[Sentence]:
    """The sentences that contain a code of the question, such as ERR-1042, also as a part of a longer one; all, if
    it has none or none does."""
    wanted = set(codes(question))
    return [one for one in found if wanted & one.terms] or list(found)


def _sentence_at(passage: str, start: int, end: int) -> str:
    """The sentence that the span lies in, or begins in; "" if the span is no part of a sentence."""
    wanted, place = _squeezed(unmarked(passage[start:end])), len(_squeezed(unmarked(passage[:start])))
    seen, found, texts = 0, [], _unmarked_sentences(passage)
    for number, text in enumerate(texts):
        squeezed = _squeezed(text)
        if wanted and (at := _begins_in(squeezed, wanted)) >= 0:
            found.append((abs(seen + at - place), number))
        seen += len(squeezed)
    return _answer_to(texts, min(found)[1]) if found else ""


def _begins_in(sentence: str, wanted: str) -> int:
    """Where a span begins in a sentence that holds it, is part of it, or ends with its beginning; -1 if none."""
    if wanted in sentence:
        return sentence.index(wanted)
    if sentence and sentence in wanted:
        return 0
    lengths = range(min(len(sentence), len(wanted)), 0, -1)
    return next((len(sentence) - length for length in lengths if sentence.endswith(wanted[:length])), -1)


def _answer_to(texts: Sequence[str], place: int) -> str:
    """The sentence at a place; for a question, as in a list of questions and answers, the sentence behind it."""
    behind = texts[place + 1 : place + 2]
    asks = _QUESTION.search(texts[place]) is not None
    return behind[0] if asks and behind and not _QUESTION.search(behind[0]) else texts[place]


def _squeezed(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _logit(probability: float) -> float:
    inner = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(inner / (1 - inner))


def _with_answer(sentence: Sentence, passages: Sequence[str]) -> Sentence:
    """The sentence; for a question the one behind it in its passage, of all that stand there."""
    texts = _unmarked_sentences(passages[sentence.passage - 1])
    return Sentence(_answer_to(texts, texts.index(sentence.text)), sentence.passage)


def _unmarked_sentences(passage: str) -> list[str]:
    """The sentences of a passage without anything that reads as a citation, such as footnotes; also in lines of
    code, which are quoted without their fence."""
    return [text for one in sentences(unmarked(passage)) if (text := unmarked(one).strip())]


def _on(focus: str, found: list[Sentence], headings: Sequence[str]) -> list[int]:
    """The places of the sentences that name the focus, stand under a heading that does, or go on about it with a
    pronoun."""
    wanted = set(analyze_query(focus))
    if not wanted:
        return []
    headed = {number for number, heading in enumerate(headings, start=1) if wanted <= set(analyze(heading))}
    kept: list[int] = []
    for place, one in enumerate(found):
        follows = kept[-1:] == [place - 1] and found[place - 1].passage == one.passage
        if wanted <= one.terms or one.passage in headed or (follows and _GOES_ON.match(one.text)):
            kept.append(place)
    return kept


def _telling(found: list[Sentence]) -> list[Sentence]:
    """The sentences without lines, such as headings, that only name what a fuller sentence says."""
    return [one for one in found if not any(one.terms < other.terms for other in found)]


def _scores(question: str, earlier: str, found: list[Sentence], embeddings: SentenceEmbeddings | None) -> Scores:
    spread = Counter(term for sentence in found for term in sentence.terms)
    idf = {term: math.log(1 + len(found) / count) for term, count in spread.items()}
    wanted = {term: _CODE if any(map(str.isdigit, term)) else 1.0 for term in analyze_query(question)}
    for term in analyze_query(earlier):
        wanted.setdefault(term, _EARLIER)
    # A word in no sentence counts too: else a word of the previous turn could stand for the whole question.
    weights = {term: weight * idf.get(term, math.log(1 + len(found))) for term, weight in wanted.items()}
    of_passage: dict[int, set[str]] = {}
    before: list[set[str]] = []
    for sentence in found:
        said = of_passage.setdefault(sentence.passage, set())
        before.append(said - sentence.terms)
        said.update(sentence.terms)
    last = max(of_passage)
    signs = [sign for asked, sign in _KINDS if asked.search(question)]
    scores = np.array(
        [
            _overlap(weights, sentence.terms)
            + _CARRY * _overlap(weights, earlier_terms)
            + _PASSAGE * _overlap(weights, of_passage[sentence.passage])
            + _RANK * (1 - (sentence.passage - 1) / last)
            + _KIND * any(_tells(sentence.text, sign, question) for sign in signs)
            for sentence, earlier_terms in zip(found, before, strict=True)
        ]
    )
    if embeddings is not None:
        likely = np.argsort(-scores, kind="stable")[:_COMPARED]
        scores[likely] += _MEANING * _likeness(question, earlier, [found[i].text for i in likely], embeddings)
    return scores


def _tells(text: str, sign: re.Pattern[str], question: str) -> bool:
    """True if a text contains what is asked for, such as a name, that the question itself doesn't contain."""
    return any(match[0] not in question for match in sign.finditer(text))


def _overlap(weights: dict[str, float], terms: set[str] | frozenset[str]) -> float:
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in terms) / total if total else 0.0


def _likeness(question: str, earlier: str, texts: list[str], embeddings: SentenceEmbeddings) -> Scores:
    """Similarity of each text to the question in meaning, scaled to 0 to 1 over the texts."""
    forms = [question, f"{earlier} {question}"] if earlier else [question]
    cosines = (embeddings.encode_passages(texts) @ embeddings.encode_queries(forms).T).astype(np.float64)
    low, high = cosines.min(axis=0), cosines.max(axis=0)
    scaled: Scores = (cosines - low) / np.maximum(high - low, 1e-6)
    return scaled[:, 0] * (1 - _JOINED) + scaled[:, -1] * _JOINED


def _same(one: Sentence, other: Sentence) -> bool:
    either = one.terms | other.terms
    return one.text == other.text or len(one.terms & other.terms) > _SAME * len(either)
