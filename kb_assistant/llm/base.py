"""What the chat models that run in this process have in common: LangChain's side of them.

Messages in, whole characters out, with the cost at the end. An engine says the pieces (`_deltas`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, ChatMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from kb_assistant.errors import ModelError
from kb_assistant.llm.request_queue import never

RoleText = tuple[str, str]
"""Role ("system", "user" or "assistant") and content of a message."""

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_REPLACEMENT = "\ufffd"
_SAMPLING = ("temperature", "top_p", "top_k", "repeat_penalty", "seed", "max_tokens")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen, and when to stop.

    Attributes:
        temperature: 0 takes the most probable token each time.
        top_p: Of the most probable tokens, those that together reach this probability are kept.
        top_k: At most so many tokens are kept.
        repeat_penalty: Divides what speaks for a token that was there before; 1 leaves it.
        seed: The same seed gives the same answer.
        max_tokens: Longest answer; None lets the context decide.
        stop: Texts that end an answer and aren't part of it.
    """

    temperature: float = 0.8
    top_p: float = 0.8
    top_k: int = 50
    repeat_penalty: float = 1.0
    seed: int = 0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


CHATGLM2 = Sampling()
"""How the official chat samples."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A part of an answer. The last one says what it cost and how it ended."""

    text: str = ""
    usage: UsageMetadata | None = None
    ending: dict[str, Any] = field(default_factory=dict)


class LocalChat(BaseChatModel):
    """A chat model in this process. One that is loaded serves all its sessions, in turn.

    Calls take `cancelled=`, a function asked between tokens and while waiting in line; once it says True, the
    answer ends with what there is.

    Attributes:
        model_name: How answers name the model.
        languages: Languages it answers in; empty where unknown.
        context_tokens: Longest prompt and answer together.
        max_tokens: Longest answer.
        temperature, top_p, top_k, repeat_penalty, seed: See Sampling.
        threads: Threads of the engine; 0 takes all cores.
        stop: Texts that end an answer; they aren't part of it.
    """

    model_name: str = ""
    languages: tuple[str, ...] = ()
    context_tokens: int = Field(default=2048, ge=16)
    max_tokens: int | None = Field(default=256, ge=1)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float = Field(default=CHATGLM2.top_p, gt=0, le=1)
    top_k: int = Field(default=CHATGLM2.top_k, ge=1)
    repeat_penalty: float = Field(default=CHATGLM2.repeat_penalty, gt=0)
    seed: int = CHATGLM2.seed
    threads: int = Field(default=0, ge=0)
    stop: list[str] | None = None

    @property
    def native_history(self) -> bool:
        """Whether it follows earlier turns that are messages of their own; see capabilities.native_history."""
        return False

    @property
    def full_answers(self) -> bool:
        """Whether it may answer at any length; see capabilities.full_answers."""
        return False

    @abstractmethod
    def _deltas(
        self, messages: Sequence[RoleText], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Delta]:
        """The answer piece by piece; texts may end amid a character, as U+FFFD."""

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("model_name", "context_tokens", "stop", *_SAMPLING)
        return {name: str(value) for name in names if (value := getattr(self, name)) is not None}

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
        sampling = self._sampling(stop, kwargs)
        for piece in self._deltas(role_texts(messages), sampling, kwargs.get("cancelled", never)):
            usage = piece.usage or usage
            end |= piece.ending
            text, held = whole_characters(held + piece.text)
            if text:
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=text))
                if run_manager:
                    run_manager.on_llm_new_token(text, chunk=chunk)
                yield chunk
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", response_metadata=end, usage_metadata=usage, chunk_position="last"),
            generation_info={"finish_reason": end.get("finish_reason")},
        )

    def _sampling(self, stop: list[str] | None, given: dict[str, Any]) -> Sampling:
        values = {name: given.get(name, getattr(self, name)) for name in _SAMPLING}
        kept = {name: value for name, value in values.items() if value is not None}
        return Sampling(**kept, stop=tuple(stop or self.stop or ()))


def role_texts(messages: Sequence[BaseMessage]) -> list[RoleText]:
    """Roles and texts of messages.

    Raises:
        ModelError: a message of another role, or one that isn't text.
    """
    return [(_role(message), _content(message)) for message in messages]


def whole_characters(text: str) -> tuple[str, str]:
    """Split a text into what can be shown and an end that may still be half a character."""
    shown = text.rstrip(_REPLACEMENT)
    return shown, text[len(shown) :]


def usage_of(prompt: int, answer: int, reused: int | None) -> UsageMetadata:
    """LangChain's form of token counts; `reused` are those of the prompt whose computation was kept."""
    details = InputTokenDetails() if reused is None else InputTokenDetails(cache_read=reused)
    return UsageMetadata(
        input_tokens=prompt, output_tokens=answer, total_tokens=prompt + answer, input_token_details=details
    )


def _role(message: BaseMessage) -> str:
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, "")
    if role not in _ROLES.values():
        raise ModelError(f"This chat model takes no messages of type {message.type!r}.")
    return role


def _content(message: BaseMessage) -> str:
    blocks = message.content if isinstance(message.content, list) else []
    kinds = {block.get("type") for block in blocks if isinstance(block, dict)} - {"text", "reasoning"}
    if kinds:
        raise ModelError(f"This chat model reads text only, not {', '.join(sorted(map(str, kinds)))}.")
    return str(message.text)
