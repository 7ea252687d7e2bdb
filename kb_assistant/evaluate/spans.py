"""Spans: how well the part of a passage that answers is found.

Measured as SQuAD does (Rajpurkar et al., EMNLP 2016), Chinese by character as CMRC 2018 does (Cui et al., EMNLP
2019): "exact match" and "f1" of words against the best of the reference answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kb_assistant.answering.reply import Reply
from kb_assistant.evaluate.answers import EXTRACT, Row, open_model
from kb_assistant.evaluate.datasets import Question
from kb_assistant.evaluate.metrics import exact_match, token_f1
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.extract.ranked import quote
from kb_assistant.text.marks import unmarked

Span = Callable[[str, str], str]
"""From a question and a passage the part of the passage that answers; "" for none."""

GIVEN, ASKED = "right passage", "kb ask"
"""The ways: the right passage is given, as SQuAD gives it; or it has to be found first."""


def measure_spans(
    questions: Sequence[Question],
    passages: Mapping[str, str],
    kb: KnowledgeBase,
    span: Span | None = None,
    done: Callable[[], None] = lambda: None,
) -> tuple[Row, ...]:
    """How well spans match the reference answers.

    Args:
        questions: Each has reference answers and a right document.
        passages: The text of each right document, by id.
        span: Finds the span in a passage; without it the reader, or what `extract` quotes.
        done: Called after each question.
    """
    find, model = span or marked_span(kb), open_model(kb, EXTRACT)
    found: dict[str, list[str]] = {GIVEN: [], ASKED: []}
    for question in questions:
        document = max(question.right, key=lambda one: question.right[one])
        found[GIVEN].append(find(question.rewrite or question.text, passages.get(document, "")))
        found[ASKED].append(answer_span(Reply(kb.as_chain(chat_model=model), question.text, question.history)))
        done()
    return (
        _row(GIVEN, "the span in the passage that is right", questions, found[GIVEN]),
        _row(ASKED, "what is shown as the answer; nothing where it is refused", questions, found[ASKED]),
    )


def marked_span(kb: KnowledgeBase) -> Span:
    """The reader's span; without a reader the sentence that is quoted first."""
    reader = kb.reader

    def marked(question: str, passage: str) -> str:
        (reading,) = reader.read(question, [("", passage)]) if reader else [None]
        return passage[slice(*reading.span)] if reading else ""

    def sentence(question: str, passage: str) -> str:
        quoted = quote(question, [passage], embeddings=kb.embedder, most=1)
        return quoted[0].text if quoted else ""

    return marked if reader else sentence


def answer_span(reply: Reply) -> str:
    """What a reply shows as the answer: the span marked in the first passage that it cites, else its text; "" for
    a refusal."""
    text = unmarked(reply.answer)
    marked = [one.hit for one in reply.citations if one.hit.answer]
    if reply.refused or not marked or not marked[0].answer:
        return "" if reply.refused else text
    return marked[0].text[marked[0].answer.start : marked[0].answer.end]


def _row(name: str, about: str, questions: Sequence[Question], spans: Sequence[str]) -> Row:
    both = list(zip(questions, spans, strict=True))
    return Row.of(
        name,
        about,
        {
            "f1": [(question, token_f1(span, question.answers)) for question, span in both],
            "exact match": [(question, exact_match(span, question.answers)) for question, span in both],
        },
    )
