"""What a chat model says: its text without the prompt's own sentences, and with checked citations."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.runnables import RunnableConfig

from kb_assistant import telemetry
from kb_assistant.answering.citations import CitedStream
from kb_assistant.answering.instructions import EchoFilter
from kb_assistant.answering.meter import Meter
from kb_assistant.answering.prompts import Prompt
from kb_assistant.errors import KBError, ModelError
from kb_assistant.llm.capabilities import model_name, takes_cancelled
from kb_assistant.messages import _


def answer_texts(
    model: BaseChatModel,
    prompt: Prompt,
    echo: EchoFilter,
    meter: Meter,
    config: RunnableConfig | None,
    stop: Callable[[], bool],
) -> Iterator[str]:
    """What the model says, without sentences of the prompt."""
    with closing(model_chunks(model, prompt.messages, config, stop)) as chunks:
        for chunk in chunks:
            meter.take(chunk)
            yield echo.feed(chunk.text)
            if stop():
                break
    yield echo.finish()


def checked(texts: Iterable[str], cited: CitedStream) -> Iterator[str]:
    """The texts with checked citations."""
    for text in texts:
        if shown := cited.feed(text):
            yield shown
    if shown := cited.finish():
        yield shown


def model_chunks(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    config: RunnableConfig | None,
    stop: Callable[[], bool],
    **options: Any,
) -> Generator[AIMessageChunk]:
    """A model's text. Errors of any library become messages for the user.

    Args:
        stop: Once it returns True, models of this project end, also while they wait or read the prompt.
        options: For the model, such as `temperature`.

    Raises:
        ModelError: the model can't answer.
    """
    extra: dict[str, Any] = {"cancelled": stop} if takes_cancelled(model) else {}
    try:
        stream = model.stream(list(messages), config, **options, **extra)
        with closing(cast("Generator[AIMessageChunk]", stream)) as chunks:
            yield from _watched(chunks, model, messages) if telemetry.is_on() else chunks
    except KBError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            _("The chat model failed: {reason}", reason=reason), _("Check its server, or choose another model.")
        ) from error


def _watched(
    chunks: Iterable[AIMessageChunk], model: BaseChatModel, messages: Sequence[BaseMessage]
) -> Iterator[AIMessageChunk]:
    """The chunks, and telemetry of them."""
    asked = [(message.type, str(message.text)) for message in messages]
    meter, said = Meter(), list[str]()
    with telemetry.chat(model_name(model), str(model._llm_type), asked) as told:
        try:
            for chunk in chunks:
                meter.take(chunk)
                said.append(str(chunk.text))
                yield chunk
        finally:
            told.answered(meter.usage(), meter.cut, "".join(said))
