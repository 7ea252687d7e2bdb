"""Answers without a language model: quotes and cites the passages' sentences that answer best.

All words come from the documents; nothing is invented, summarised or translated. Sentences in another language
than the question come last, after a line in the question's language that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic import Field

from kb_assistant.llm.extract.code_lines import block_of, prose_of, told
from kb_assistant.llm.extract.marked import (
    naming_fully,
    naming_what_is_asked,
    quote_answers,
    with_the_list,
    with_what_is_announced,
    with_what_it_is_about,
)
from kb_assistant.llm.extract.narrowed import on_focus, on_the_topic, on_what_is_named, with_code
from kb_assistant.llm.extract.question_forms import (
    asks_for_several,
    is_open,
    is_yes_or_no,
    name_asked,
    two_questions,
)
from kb_assistant.llm.extract.ranked import quote
from kb_assistant.llm.extract.sentence import Sentence
from kb_assistant.llm.extract.table_rows import row_told, rows_under
from kb_assistant.llm.streaming import Delta, StreamingChat
from kb_assistant.text.language import Language, is_in, language_of
from kb_assistant.text.wording import quoted

Quoting = Callable[..., list[Sentence]]
"""`quote` for the passages of a turn."""


class ExtractChat(StreamingChat):
    """A chat model that quotes: up to three sentences of the passages, each followed by its mark `[n]`.

    The last message carries `additional_kwargs = {"question": str, "passages": [str, …]}`, and perhaps "language",
    the question's, "answers", (start, end, score) of the answer in each passage or None, and "also", (start, end)
    of another one or None. Without question and passages its text serves as both. The last earlier human message
    gives the topic of a follow-up. It may also carry "focus" and "headings" (see `quote`), "names" (see
    `on_what_is_named`), and "parts", the questions of a comparison: each is quoted for.

    Attributes:
        embeddings: Compares meanings; without it only words are compared.
        sentences: Most sentences quoted; twice as many where a question asks for more than one fact, such as how
            something works.
        characters: Longest answer, likewise, unless its best sentence alone is longer.
    """

    model_name: str = "extract"
    embeddings: Any = Field(default=None, exclude=True, repr=False)
    sentences: int = Field(default=3, ge=1)
    characters: int = Field(default=300, ge=1)

    @property
    def _llm_type(self) -> str:
        return "extract"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "sentences": self.sentences, "characters": self.characters}

    def get_num_tokens(self, text: str) -> int:
        """The number of characters: this model has no tokens and no context limit."""
        return len(text)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """The number of characters of all messages."""
        del tools
        return sum(len(message.text) for message in messages)

    def _deltas(
        self, messages: list[BaseMessage], stop: Sequence[str], options: Mapping[str, Any]
    ) -> Iterator[Delta]:
        del options  # nothing to sample, and nothing to wait for
        answer = self._quoted(messages)
        cut = min((at for word in stop if (at := answer.find(word)) >= 0), default=None)
        yield from map(Delta, answer[:cut].splitlines(keepends=True))
        yield Delta(ending={"finish_reason": "stop"})

    def _quoted(self, messages: list[BaseMessage]) -> str:
        question, passages = _asked(messages[-1])
        values = messages[-1].additional_kwargs
        before = [message for message in messages[:-1] if message.type == "human"]
        earlier = values.get("earlier") or (_asked(before[-1])[0] if before else "")
        quoting = partial(
            quote,
            passages=passages,
            focus=values.get("focus", ""),
            headings=values.get("headings", ()),
            embeddings=self.embeddings,
            characters=self.characters,
        )
        if parts := values.get("parts"):
            among = partial(on_what_is_named, passages=passages, names=values.get("names", ()))
            found = _by_passage(one for part in parts for one in quoting(part, most=1, among=among(part)))
        else:
            found = self._answering(question, earlier, passages, values, partial(quoting, earlier=earlier))
        found = self._with_rows(question, found, passages)
        language = values.get("language") or language_of(question)
        foreign = [sentence for sentence in found if _is_foreign(sentence, passages, language)]
        lines = self._lines([sentence for sentence in found if sentence not in foreign], passages)
        if foreign:
            lines += [quoted(language, language_of(foreign[0].text)), *self._lines(foreign, passages)]
        return "\n".join(lines)

    def _lines(self, found: Sequence[Sentence], passages: Sequence[str]) -> list[str]:
        """The quotes with their marks, code as code."""
        lines: list[str] = []
        for one in found:
            passage = passages[one.passage - 1]
            block = block_of(one, passage)
            lines += told(one, block, passage, lines, 2 * self.characters) if block else [_line(one)]
        return lines

    def _answering(
        self, question: str, earlier: str, passages: Sequence[str], values: Mapping[str, Any], quoting: Quoting
    ) -> list[Sentence]:
        """What the reader marked, and what else is asked for; without marks, what is nearest to the question."""
        answers = values.get("answers") or [None] * len(passages)
        marked = [answer is not None for answer in answers]
        named = on_what_is_named(question, passages, values.get("names", ()), marked)
        on = {one.passage for one in named} or range(1, len(passages) + 1)
        answers = [answer if number in on else None for number, answer in enumerate(answers, start=1)]
        wide = is_open(question) and not named
        most, characters = self.sentences * (1 + wide), self.characters * (1 + wide)
        found = quote_answers(passages, answers, values.get("also", ()), on=wide, most=most, characters=characters)
        found = on_the_topic(question, earlier, found, passages, values.get("headings", ()))
        if asks_for_several(question):
            found = with_the_list(found, passages, 2 * self.characters)
        if is_yes_or_no(question):
            found = naming_what_is_asked(question, found, passages, values.get("headings", ()))
        if name := name_asked(question):
            found = naming_fully(name, found, passages)
        if found:
            also = (one for part in two_questions(question) for one in quoting(part, most=1))
            found = _by_passage([*found, *also])
        about = on_focus(values.get("focus", ""), passages, values.get("headings", ()))
        found = [one for one in found if (not named or one in named) and (not about or one in about)]
        found = with_code(question, found or quoting(question, most=self.sentences, among=named))
        found = with_what_it_is_about(question, found, passages, most=most, characters=characters)
        return with_what_is_announced(found, passages, most=most, characters=characters)

    def _with_rows(self, question: str, found: Sequence[Sentence], passages: Sequence[str]) -> list[Sentence]:
        """Rows of tables are quoted with the names of their columns, and what announces a table, or the names
        themselves, with the row that is asked for."""
        told: list[Sentence] = []
        for one in found:
            passage = passages[one.passage - 1]
            rows = row_told(one.text, passage, question, self.characters)
            rows += rows_under(one.text, passage, question, self.characters)
            told += [Sentence(row, one.passage) for row in rows]
        return list(dict.fromkeys(told))


def _by_passage(found: Iterable[Sentence]) -> list[Sentence]:
    return sorted(dict.fromkeys(found), key=lambda one: one.passage)


def _line(sentence: Sentence) -> str:
    """A quote with its mark, without Markdown's signs for bold: of a part one would be left open."""
    return f"{sentence.text.replace('**', '')} [{sentence.passage}]"


def _is_foreign(sentence: Sentence, passages: Sequence[str], language: Language) -> bool:
    """Whether a quote is in another language; not if a passage in the question's language contains it, as code
    or a name."""
    said = prose_of(passages[sentence.passage - 1])
    return bool(said.strip()) and not any(is_in(text, language) for text in (sentence.text, said))


def _asked(message: BaseMessage) -> tuple[str, list[str]]:
    text = str(message.text)
    return message.additional_kwargs.get("question", text), message.additional_kwargs.get("passages", [text])
