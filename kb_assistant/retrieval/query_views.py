"""What a question may mean after the turns before it: the texts that stand for it in a search.

A follow-up leaves out what was said before. Joining all of it to the question finds the topic and loses the point
where the talk has moved on; so several texts are made, each a different view, and fusion.py weighs them. None of
them needs a model: "and where is it?" becomes no better question here, but its topic comes along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kb_assistant.text.analyzer import analyze_query
from kb_assistant.text.language import Language, language_of
from kb_assistant.types import Turn

QUESTION = "question"
WITH_QUESTIONS = "asked"
WITH_ANSWERS = "told"
REWRITTEN = "rewritten"
SEARCHED = (QUESTION, WITH_QUESTIONS, WITH_ANSWERS, REWRITTEN)
"""The texts that are searched for; those of single turns only help to order what was found."""

SUMMED: Mapping[str, float] = {QUESTION: 1.0, "question 1": 0.5, "question 2": 0.25}
"""What WITH_QUESTIONS means is the sum of what these mean, which are known from the turns before: to embed it by
itself costs twice a question, and finds no more."""

TURNS = 3
"""Turns that are joined to the question."""

ALONE = 2
"""Turns whose question and answer also count by themselves, latest first."""

TOLD_CHARACTERS = 600
"""How much of them joins the question at most; the embedder's window holds little more."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A question with what was said before it.

    Attributes:
        texts: What stands for the question, by name: QUESTION alone; WITH_QUESTIONS, with the questions before
            it; WITH_ANSWERS, with the end of the last turns; "question 1", "answer 1" and so on, each of the last
            turns by itself, counted backwards; REWRITTEN, where a model put it as a question of its own.
        words: The words of each; those of single turns without the question's.
        language: The question's.
    """

    texts: Mapping[str, str]
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    language: Language = "en"

    @property
    def question(self) -> str:
        return self.texts[QUESTION]

    @property
    def is_first(self) -> bool:
        return len(self.texts) == 1

    def dense_views(self, headed: bool) -> tuple[str, ...]:
        """The names of the texts that are embedded. Answers count by their words only; so does WITH_ANSWERS in an
        index whose texts stand under headings, where its meaning finds no more (docs/evaluation.md)."""
        names = (*SUMMED, REWRITTEN) if headed else (*SUMMED, WITH_ANSWERS, REWRITTEN)
        return tuple(name for name in names if name in self.texts)

    @property
    def searched(self) -> tuple[str, ...]:
        """The names of the texts that are searched for."""
        return tuple(name for name in SEARCHED if name in self.texts)

    @property
    def keyword_views(self) -> tuple[str, ...]:
        """The names of those that are searched for by word: WITH_ANSWERS holds what was asked."""
        return tuple(name for name in self.searched if name != WITH_QUESTIONS)


def conversation(
    question: str, history: Sequence[Turn], rewritten: str = "", language: Language | None = None
) -> Conversation:
    """The texts and words of a question; its language, where it isn't known yet."""
    texts = {QUESTION: question.strip(), **_views(question.strip(), history[-TURNS:])}
    if rewritten:
        texts[REWRITTEN] = rewritten
    words = {name: analyze_query(text) for name, text in texts.items()}
    asked = set(words[QUESTION])
    for name in words.keys() - set(SEARCHED):
        words[name] = [word for word in words[name] if word not in asked]
    return Conversation(texts, words, language or language_of(question))


def _views(question: str, turns: Sequence[Turn]) -> dict[str, str]:
    if not turns:
        return {}
    told = " ".join(f"{turn.question} {turn.answer}" for turn in turns)
    asked = [turn.question for turn in turns if turn.question]
    views = {WITH_QUESTIONS: " ".join([*asked, question]), WITH_ANSWERS: f"{told[-TOLD_CHARACTERS:]} {question}"}
    for back, turn in enumerate(reversed(turns[-ALONE:]), start=1):
        views |= {f"question {back}": turn.question, f"answer {back}": turn.answer[:TOLD_CHARACTERS]}
    return {name: text for name, text in views.items() if text.strip()}
