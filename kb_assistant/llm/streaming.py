"""A chat model that streams its answer, for LangChain."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult

_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Delta:
    """A part of an answer. The last one gives its cost and finish reason."""

    text: str = ""
    usage: UsageMetadata | None = None
    ending: dict[str, Any] = field(default_factory=dict)


class StreamingChat(BaseChatModel):
    """A chat model that streams its answer. A subclass yields the parts in `_deltas`.

    Attributes:
        model_name: The model's name in answers.
        languages: ISO codes of the languages it answers in; empty for any or unknown languages.
        stop: Texts that end an answer; they aren't part of it.
    """

    model_name: str = ""
    languages: tuple[str, ...] = ()
    stop: list[str] | None = None

    @property
    def native_history(self) -> bool:
        """Whether it understands earlier turns as separate messages; see capabilities.native_history."""
        return False

    @property
    def full_answers(self) -> bool:
        """Whether it may answer at any length; see capabilities.full_answers."""
        return False

    @abstractmethod
    def _deltas(
        self, messages: list[BaseMessage], stop: Sequence[str], options: Mapping[str, Any]
    ) -> Iterator[Delta]:
        """The parts of the answer. A text may end in the middle of a character, as U+FFFD.

        Args:
            messages: The conversation.
            stop: Texts that end the answer.
            options: Keyword arguments of the call.
        """

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        end: dict[str, Any] = {"model_name": self.model_name, "model_provider": self._llm_type}
        usage: UsageMetadata | None = None
        held = ""
        for delta in self._deltas(messages, stop or self.stop or (), kwargs):
            usage = delta.usage or usage
            end |= delta.ending
            text, held = whole_characters(held + delta.text)
            if text:
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=text))
                if run_manager:
                    run_manager.on_llm_new_token(text, chunk=chunk)
                yield chunk
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", response_metadata=end, usage_metadata=usage, chunk_position="last"),
            generation_info={"finish_reason": end.get("finish_reason")},
        )


def whole_characters(text: str) -> tuple[str, str]:
    """Split a text into a complete part and an end that may be half a character."""
    shown = text.rstrip(_REPLACEMENT)
    return shown, text[len(shown) :]


def usage_of(prompt: int, answer: int, reused: int | None) -> UsageMetadata:
    """Token counts in LangChain's form; `reused` counts prompt tokens whose computation was kept."""
    details = InputTokenDetails() if reused is None else InputTokenDetails(cache_read=reused)
    return UsageMetadata(
        input_tokens=prompt, output_tokens=answer, total_tokens=prompt + answer, input_token_details=details
    )
