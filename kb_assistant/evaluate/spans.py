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
from kb_assistant.llm.quotes import quote
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
        span: Finds the span in a passage; without it the sentence that `extract` quotes is taken.
        done: Called after each question.
    """
    find, model = span or quoted_sentence(kb), open_model(kb, EXTRACT)
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


def quoted_sentence(kb: KnowledgeBase) -> Span:
    """The sentence of a passage that is quoted first."""

    def sentence(question: str, passage: str) -> str:
        quoted = quote(question, [passage], embeddings=kb.embedder, most=1)
        return quoted[0].text if quoted else ""

    return sentence


def answer_span(reply: Reply) -> str:
    """What a reply shows as the answer: its quotes, as no span is marked in them; "" for a refusal."""
    return "" if reply.refused else unmarked(reply.answer)


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
