"""Ranks the passages' sentences by how well they answer: by shared words, meaning, and what is asked for.

Uses no language model. Not done here: finding passages, changing sentences.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kb_assistant.llm.extract.narrowed import places_on
from kb_assistant.llm.extract.question_forms import KINDS
from kb_assistant.llm.extract.sentence import Sentence, answer_to, are_same, unmarked_sentences
from kb_assistant.text.analyzer import analyze, analyze_query

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
        found += _telling([Sentence(text, number) for text in unmarked_sentences(passage)])
    if not found:
        return []
    above = {number: frozenset(analyze(heading)) for number, heading in enumerate(headings, start=1)}
    scores = _scores(question, earlier, found, above, embeddings)
    places: Sequence[int] = places_on(focus, found, headings) or range(len(found))
    places = [place for place in places if found[place] in among] or places
    picked: list[int] = []
    for place in sorted(places, key=lambda i: -scores[i]):
        room = characters - sum(len(found[i].text) for i in picked)
        if picked and (scores[place] < _RELATIVE * scores[picked[0]] or len(picked) == most):
            break
        if picked and (len(found[place].text) > room or any(are_same(found[place], found[i]) for i in picked)):
            continue
        picked.append(place)
    return list(dict.fromkeys(_with_answer(found[i], passages) for i in sorted(picked)))


def _with_answer(sentence: Sentence, passages: Sequence[str]) -> Sentence:
    """The sentence; for a question the one behind it in its passage, of all that stand there."""
    texts = unmarked_sentences(passages[sentence.passage - 1])
    return Sentence(answer_to(texts, texts.index(sentence.text)), sentence.passage)


def _telling(found: list[Sentence]) -> list[Sentence]:
    """The sentences without lines, such as headings, that only name what a fuller sentence says."""
    return [one for one in found if not any(one.terms < other.terms for other in found)]


def _scores(
    question: str,
    earlier: str,
    found: list[Sentence],
    above: Mapping[int, frozenset[str]],
    embeddings: SentenceEmbeddings | None,
) -> Scores:
    """
    Args:
        above: The words of the headings by passage: all sentences below them have these.
    """
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
    signs = [sign for asked, sign in KINDS if asked.search(question)]
    scores = np.array(
        [
            _overlap(weights, sentence.terms | above.get(sentence.passage, frozenset()))
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
