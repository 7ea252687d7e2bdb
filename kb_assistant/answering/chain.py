"""One turn as a LangChain runnable: question and history → hits → prompt → model → checked citations.

The chain streams dictionaries that add up: first the search results ("queries", "hits", "dropped", "note",
"evidence", "uncertain", "kind", "origin", "prompt"), then pieces of "answer", at the end "citations", "refused",
"usage" and "cut". Reply is the same turn as an object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig, run_in_executor
from langchain_core.runnables.utils import AddableDict

from kb_assistant.answering import modes
from kb_assistant.answering.citations import CitedStream
from kb_assistant.answering.continued import go_on
from kb_assistant.answering.digest import digested
from kb_assistant.answering.history import asked, turns, unfinished
from kb_assistant.answering.instructions import EchoFilter
from kb_assistant.answering.meter import Meter
from kb_assistant.answering.model_stream import answer_texts, checked
from kb_assistant.answering.modes import Answers, Origin
from kb_assistant.answering.prompts import Prompt, fit, form_for
from kb_assistant.answering.talk import ReplyKind, Talk, Told
from kb_assistant.errors import ModelError
from kb_assistant.llm.capabilities import (
    count_tokens,
    prompt_tokens,
    quotes_only,
)
from kb_assistant.llm.open import ChatModels
from kb_assistant.messages import Message, _, join
from kb_assistant.retrieval.federated import FederatedSearcher, together
from kb_assistant.retrieval.file_states import missing_note
from kb_assistant.retrieval.filters import parse_conditions
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.retrieval.searcher import Searcher
from kb_assistant.settings import Settings
from kb_assistant.text.completion import Completed, completed
from kb_assistant.text.conversation import weighing
from kb_assistant.text.dialogue_acts import dialogue_act
from kb_assistant.text.language import Language, language_of
from kb_assistant.text.wording import language_for, wording
from kb_assistant.types import Dropped, Hit, Turn, Usage

_NOT_FOUND = _("The documents don't hold an answer to this: the model answers by itself.")
_NOTHING_SEARCHED = _("The model answers by itself: no document was searched.")
_NO_CHINESE = _(
    "未安装中文模型：以下回答摘自原文。(No Chinese model is installed: the answer is quoted from the passages.)"
)


class AnswerChain(Runnable[Mapping[str, Any], AddableDict]):
    """Answers {"question": str, "history": turns or {"role", "text"} messages, "where": conditions, "answers"
    and "k": see the settings of these names}; only the question is required.

    Args:
        searcher: Finds the passages.
        models: The chat model, and the quoting model for languages that it can't read; opened only when there is
            something to answer.
        settings: Number of passages, and longest prompts and answers.
    """

    def __init__(self, searcher: Searcher | FederatedSearcher, models: ChatModels, settings: Settings) -> None:
        self._searcher, self._models, self._settings = searcher, models, settings

    def invoke(
        self,
        input: Mapping[str, Any],
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AddableDict:
        """The whole turn at once: the sum of the output of `stream`."""
        whole = AddableDict()
        for piece in self.stream(input, config, **kwargs):
            whole = whole + piece
        return whole

    def stream(
        self,
        input: Mapping[str, Any],
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[AddableDict]:
        """The turn piece by piece.

        Args:
            kwargs: `stop`, a function called before each piece; once it returns True, the model is stopped and the
                turn ends with its text so far.

        Raises:
            QuestionError: an empty question, a history of another form, or no such way to answer.
            ModelError: the model is missing or can't answer.
        """
        stop: Callable[[], bool] = kwargs.get("stop", lambda: False)
        question, history = asked(str(input["question"])), turns(input.get("history") or ())
        answers = modes.checked(input.get("answers") or self._settings.answers)
        where = parse_conditions(input.get("where") or ())
        count: int = input.get("k") or self._settings.k
        if where:  # the passages of earlier turns may not fulfil the conditions
            history = tuple(replace(turn, shown=()) for turn in history)
        begun = ""
        if rest := unfinished(question, history):
            question, begun, history = rest.question, rest.begun, rest.before
        if answers == "model":
            yield from self._by_itself(question, history, _NOTHING_SEARCHED, config, stop, begun)
            return

        def search(asked_for: str, before: Sequence[Turn], read: bool = False) -> Retrieval:
            return self._searcher.search(asked_for, before, count, where=where, read=read)

        if told := Talk(self._searcher, search, where).answer(question, history):
            yield from self._tell(told, question, history, config, stop, begun)
        else:
            asked_for = completed(question, history)
            found = search(asked_for.question, asked_for.history, read=True)
            if dialogue_act(question).kind == "now":
                found = replace(found, evidence=0.0)
            besides = [search(one, (), read=True) for one in asked_for.others]
            yield from self.answer(
                asked_for.question,
                asked_for.history,
                together(found, besides),
                config,
                stop,
                about=asked_for,
                answers=answers,
                begun=begun,
            )

    def answer(
        self,
        question: str,
        history: Sequence[Turn],
        found: Retrieval,
        config: RunnableConfig | None = None,
        stop: Callable[[], bool] = lambda: False,
        kind: ReplyKind = "answer",
        about: Completed | None = None,
        answers: Answers = "documents",
        begun: str = "",
    ) -> Iterator[AddableDict]:
        """The turn after the search: the output of `stream` for passages already found.

        Args:
            answers: With "documents-first", the model answers by itself if they aren't relevant.
            begun: The answer so far, if its rest is asked for.
        """
        if found.relevant:
            model, note = self._model_for(found)
            prompt = self._prompt(model, question, history, found, begun)
            if kind == "document" and prompt.dropped.passages and not begun:
                prompt = self._digest(model, question, found, config, stop)
            if about:
                prompt.messages[-1].additional_kwargs |= {
                    "focus": about.focus,
                    "parts": about.others,
                    "headings": [hit.locator.heading or "" for hit in prompt.hits],
                }
            shown = () if quotes_only(model) else prompt.messages
            yield _header(found, prompt.hits, prompt.dropped, note, kind, prompt=shown)
            yield from self._answer(model, prompt, found.language, config, stop)
            return
        mute = None if answers == "documents" else self._why_not_alone(found.language)
        if answers == "documents" or mute:
            yield _header(found, found.hits, Dropped(), join((mute, modes.HINT)) if mute else "", kind, "none")
            words = wording(self._spoken(found.language), question)
            yield AddableDict(answer=words.refusal if found.hits else words.nothing)
            yield AddableDict(citations=(), refused=True, usage=Usage(), cut=False)
        else:
            yield from self._by_itself(question, history, _NOT_FOUND, config, stop, begun, found)

    def _by_itself(
        self,
        question: str,
        history: Sequence[Turn],
        note: Message,
        config: RunnableConfig | None,
        stop: Callable[[], bool],
        begun: str,
        found: Retrieval | None = None,
    ) -> Iterator[AddableDict]:
        """The turn answered by the model without passages."""
        found = replace(found, hits=()) if found else Retrieval((), (), 0.0, language=language_of(question))
        if mute := self._why_not_alone(found.language):
            raise ModelError(mute, modes.HINT)
        model = self._models.answering
        prompt = self._prompt(model, question, history, found, begun)
        yield _header(found, (), prompt.dropped, note, origin="model", prompt=prompt.messages)
        yield from self._answer(model, prompt, found.language, config, stop)

    def _why_not_alone(self, question: Language) -> Message | None:
        return modes.why_not_alone(self._models.answering, question, self._spoken(question))

    def _spoken(self, question: Language) -> Language:
        """The language of the answer."""
        return language_for(self._settings.answer_language, question)

    def _prompt(
        self, model: BaseChatModel, question: str, history: Sequence[Turn], found: Retrieval, begun: str = ""
    ) -> Prompt:
        form, count = form_for(model, self._settings), partial(count_tokens, model)
        limit = prompt_tokens(model, self._settings)
        given: Any = {"language": found.language, "form": form, "begun": begun}
        told = go_on(question, found.hits, history, count, limit, self._searcher, **given)
        return told or fit(question, found.hits, history, count, limit, **given)

    def _digest(
        self,
        model: BaseChatModel,
        question: str,
        found: Retrieval,
        config: RunnableConfig | None,
        stop: Callable[[], bool],
    ) -> Prompt:
        """The prompt with notes on a document that is longer than the context; the model makes them now."""
        chunks = self._searcher.document(found.hits[0].source).chunks
        order = {chunk.id: place for place, chunk in enumerate(chunks)}
        passages = sorted(found.hits, key=lambda hit: order.get(hit.id, 0))

        def ask(prompt: Prompt) -> str:
            if stop():
                return ""
            return "".join(answer_texts(model, prompt, EchoFilter(prompt.instructions), Meter(), config, stop))

        return digested(
            passages, lambda hits: self._prompt(model, question, (), replace(found, hits=tuple(hits))), ask
        )

    def _answer(
        self,
        model: BaseChatModel,
        prompt: Prompt,
        language: Language,
        config: RunnableConfig | None,
        stop: Callable[[], bool],
    ) -> Iterator[AddableDict]:
        """The answer in pieces, then its end. Where the model repeats the prompt and says nothing else, the best
        sentences are quoted."""
        cited, echo, meter = CitedStream(prompt.hits), EchoFilter(prompt.instructions), Meter()
        silent = True
        for text in checked(answer_texts(model, prompt, echo, meter, config, stop), cited):
            silent = silent and not text.strip()
            yield AddableDict(answer=text)
        if silent and echo.left_out:
            cited = CitedStream(prompt.hits)
            quotes = self._models.quoting.stream(prompt.messages) if prompt.hits else ()
            told = [str(chunk.text) for chunk in quotes] or [wording(self._spoken(language)).unsaid]
            yield from (AddableDict(answer=text) for text in checked(told, cited))
        yield AddableDict(citations=cited.citations, refused=False, usage=meter.usage(), cut=meter.cut)

    def _tell(
        self,
        told: Told,
        question: str,
        history: Sequence[Turn],
        config: RunnableConfig | None,
        stop: Callable[[], bool],
        begun: str,
    ) -> Iterator[AddableDict]:
        """A turn that needs no search: as it is told, or by the chat model where that can do better."""
        language, note = language_of(question), ""
        shown, passages = self._searcher.with_files(told.hits), self._searcher.with_files(told.passages)
        told = replace(told, hits=shown, passages=passages)
        if told.passages:
            given = Retrieval((question,), told.passages, 1.0, language=language)
            model, note = self._model_for(given)
            if not quotes_only(model):
                yield from self.answer(question, weighing(history), given, config, stop, told.kind, begun=begun)
                return
        found = Retrieval((), told.hits, 1.0 if told.hits else 0.0, language=language)
        yield _header(found, told.hits, Dropped(), note, told.kind, "documents" if told.hits else "none")
        cited = CitedStream(told.hits)
        for line in told.text.splitlines(keepends=True):
            if stop():
                break
            if text := cited.feed(line):
                yield AddableDict(answer=text)
        if text := cited.finish():
            yield AddableDict(answer=text)
        yield AddableDict(citations=cited.citations, refused=False, usage=Usage(), cut=False)

    async def astream(
        self,
        input: Mapping[str, Any],
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AddableDict]:
        """The same in an event loop: a thread makes each piece."""
        pieces = cast("Generator[AddableDict]", self.stream(input, config, **kwargs))
        try:
            while (piece := await run_in_executor(config, next, pieces, None)) is not None:
                yield piece
        finally:
            with suppress(ValueError):  # cancelled during a piece: it ends after that piece
                pieces.close()

    def _model_for(self, found: Retrieval) -> tuple[BaseChatModel, str]:
        """The chat model; or the quoting model, with a note, if the chat model can't read the question or the best
        passage. This is detected for languages with a script of their own."""
        model = self._models.answering
        for language in (found.language, language_of(found.hits[0].text)):
            if not modes.reads(model, language):
                return self._models.quoting, _why_quoted(language, language == found.language)
        return model, ""


def _why_quoted(language: Language, asked: bool) -> Message:
    if language == "zh" and asked:
        return _NO_CHINESE
    if asked:
        return _(
            "The installed model can't read {language}: the answer is quoted.", language=modes.NAMES[language]
        )
    return _(
        "The best passage is in {language}, which the installed model can't read: it is quoted.",
        language=modes.NAMES[language],
    )


def _header(
    found: Retrieval,
    hits: Sequence[Hit],
    dropped: Dropped,
    note: str,
    kind: ReplyKind = "answer",
    origin: Origin = "documents",
    prompt: Sequence[BaseMessage] = (),
) -> AddableDict:
    return AddableDict(
        queries=found.queries,
        hits=tuple(hits),
        dropped=dropped,
        note=note if origin == "none" else join((note, missing_note(hits))),
        evidence=found.evidence,
        uncertain=found.uncertain,
        kind=kind,
        origin=origin,
        prompt=tuple(prompt),
    )
