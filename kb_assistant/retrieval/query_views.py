"""The possible meanings of a question after earlier turns: the texts that represent it in a search.

A follow-up omits what was said before. Joining everything to the question finds the topic but loses the point once
the conversation has moved on; so several texts are made, each a different view, and fusion.py weighs them. None of
them needs a model: "and where is it?" isn't rewritten here, but its topic is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kb_assistant.errors import QuestionError
from kb_assistant.messages import _
from kb_assistant.text.analyzer import analyze, analyze_query
from kb_assistant.text.conversation import names_nothing, without_pronouns
from kb_assistant.text.language import Language, language_of
from kb_assistant.text.sentences import sentences
from kb_assistant.types import Hit, Turn

QUESTION = "question"
WITH_QUESTIONS = "asked"
WITH_ANSWERS = "told"
REWRITTEN = "rewritten"
SEARCHED = (QUESTION, WITH_QUESTIONS, WITH_ANSWERS, REWRITTEN)
"""The views that are searched; the views of single turns only help to rank the results."""

SUMMED: Mapping[str, float] = {QUESTION: 1.0, "question 1": 0.5, "question 2": 0.25}
"""The vector of WITH_QUESTIONS is the sum of the vectors of these, which are known from the earlier turns:
embedding it separately costs as much as two questions, and finds no more."""

TURNS = 3
"""Number of turns joined to the question."""

ALONE = 2
"""Number of turns, latest first, whose question and answer are also views of their own."""

TOLD_CHARACTERS = 600
"""Most of their text that is joined to the question; the embedder's window holds little more."""

LONGEST_QUESTION = 20_000
"""Most characters of a question."""


@dataclass(frozen=True, slots=True)
class QueryViews:
    """A question with its earlier turns.

    Attributes:
        texts: The views of the question, by name: QUESTION alone; WITH_QUESTIONS, with the questions before
            it; WITH_ANSWERS, with the end of the last turns; "question 1", "answer 1" and so on, each of the last
            turns by itself, counted backwards; REWRITTEN, if a model rewrote it as a standalone question.
        words: The words of each view; those of single turns without the question's.
        language: The question's language.
        fresh: The question's words that no earlier turn has; None if it only points back, such as "and why?".
        cited: The passages that the last answer with citations cites.
    """

    texts: Mapping[str, str]
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    language: Language = "en"
    fresh: Sequence[str] | None = None
    cited: tuple[Hit, ...] = ()

    @property
    def question(self) -> str:
        return self.texts[QUESTION]

    @property
    def is_first(self) -> bool:
        return len(self.texts) == 1

    @property
    def cited_sources(self) -> frozenset[str]:
        return frozenset(hit.source for hit in self.cited)

    @property
    def earlier(self) -> tuple[str, ...]:
        """The last turns for the reader, oldest first: each question and the first sentence of its answer."""
        names = [f"{kind} {back}" for back in range(ALONE, 0, -1) for kind in ("question", "answer")]
        said = [(name, self.texts[name]) for name in names if name in self.texts]
        return tuple(next(iter(sentences(text)), "") if name.startswith("answer") else text for name, text in said)

    def dense_views(self, headed: bool) -> tuple[str, ...]:
        """The names of the embedded views. Answers count only by their words; so does WITH_ANSWERS in an index
        whose texts have headings, where its vector finds no more (docs/evaluation.md)."""
        names = (*SUMMED, REWRITTEN) if headed else (*SUMMED, WITH_ANSWERS, REWRITTEN)
        return tuple(name for name in names if name in self.texts)

    @property
    def searched(self) -> tuple[str, ...]:
        """The names of the searched views."""
        return tuple(name for name in SEARCHED if name in self.texts)

    @property
    def keyword_views(self) -> tuple[str, ...]:
        """The names of the views searched by keyword: WITH_ANSWERS contains the earlier questions."""
        return tuple(name for name in self.searched if name != WITH_QUESTIONS)


def speakable(question: str) -> str:
    """The question as text that can be stored and sent: half of a surrogate pair becomes a question mark.

    Raises:
        QuestionError: it is longer than LONGEST_QUESTION.
    """
    if len(question) > LONGEST_QUESTION:
        raise QuestionError(
            _("The question is longer than {most} characters.", most=LONGEST_QUESTION),
            _("Put long texts into a document, and ask about it."),
        )
    return question.encode("utf-8", "replace").decode("utf-8")


def query_views(
    question: str, history: Sequence[Turn], rewritten: str = "", language: Language | None = None
) -> QueryViews:
    """The views and words of a question; also its language, if not known yet."""
    texts = {QUESTION: question.strip(), **_views(question.strip(), history[-TURNS:])}
    if rewritten:
        texts[REWRITTEN] = rewritten
    words = {name: analyze_query(text) for name, text in texts.items()}
    asked = set(words[QUESTION])
    for name in words.keys() - set(SEARCHED):
        words[name] = [word for word in words[name] if word not in asked]
    cited = next((turn.hits for turn in reversed(history) if turn.hits), ())
    return QueryViews(
        texts,
        words,
        language or language_of(question),
        _fresh(question, words[QUESTION], history),
        tuple(cited),
    )


def _fresh(question: str, words: Sequence[str], history: Sequence[Turn]) -> list[str] | None:
    if not history or names_nothing(question):
        return None
    told = set(analyze(" ".join(f"{turn.question} {turn.answer}" for turn in history)))
    said = set(analyze(without_pronouns(question)))
    return [word for word in words if word in said - told]


def _views(question: str, turns: Sequence[Turn]) -> dict[str, str]:
    if not turns:
        return {}
    told = " ".join(f"{turn.question} {turn.answer}" for turn in turns)
    asked = [turn.question for turn in turns if turn.question]
    views = {WITH_QUESTIONS: " ".join([*asked, question]), WITH_ANSWERS: f"{told[-TOLD_CHARACTERS:]} {question}"}
    for back, turn in enumerate(reversed(turns[-ALONE:]), start=1):
        views |= {f"question {back}": turn.question, f"answer {back}": turn.answer[:TOLD_CHARACTERS]}
    return {name: text for name, text in views.items() if text.strip()}
