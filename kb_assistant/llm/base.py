"""The common parts of language models that run in this process: sampling, context, cancellation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, ChatMessage
from pydantic import Field

from kb_assistant.errors import ModelError
from kb_assistant.llm.request_queue import never
from kb_assistant.llm.streaming import Delta, StreamingChat
from kb_assistant.messages import _

RoleText = tuple[str, str]
"""Role ("system", "user" or "assistant") and text of a message."""

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_SAMPLING = ("temperature", "top_p", "top_k", "repeat_penalty", "seed", "max_tokens", "adapter_scale")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen, and when the answer ends.

    Attributes:
        temperature: 0 takes the most probable token each time.
        top_p: Keep the most probable tokens that together reach this probability.
        top_k: Keep at most this many tokens.
        repeat_penalty: Divides the score of a token that occurred before; 1 changes nothing.
        seed: The same seed gives the same answer.
        max_tokens: Longest answer; None lets the context decide.
        stop: Texts that end an answer and aren't part of it.
        adapter_scale: Strength of the model's adapter, if it has one: 1 as it was trained, 0 the base alone.
    """

    temperature: float = 0.8
    top_p: float = 0.8
    top_k: int = 50
    repeat_penalty: float = 1.0
    seed: int = 0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    adapter_scale: float = 1.0


CHATGLM2 = Sampling()
"""The sampling of the official chat."""


class LocalChat(StreamingChat):
    """A language model in this process. A loaded model serves all its sessions, in turn.

    Calls take `cancelled=`, a function called between tokens and while waiting in the queue; once it returns
    True, the answer ends with its text so far.

    Attributes:
        context_tokens: Longest prompt and answer together.
        max_tokens: Longest answer.
        temperature, top_p, top_k, repeat_penalty, seed, adapter_scale: See Sampling.
        threads: Threads of the engine; 0 takes all cores.
    """

    context_tokens: int = Field(default=2048, ge=16)
    max_tokens: int | None = Field(default=256, ge=1)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float = Field(default=CHATGLM2.top_p, gt=0, le=1)
    top_k: int = Field(default=CHATGLM2.top_k, ge=1)
    repeat_penalty: float = Field(default=CHATGLM2.repeat_penalty, gt=0)
    seed: int = CHATGLM2.seed
    adapter_scale: float = Field(default=CHATGLM2.adapter_scale, ge=0, le=1)
    threads: int = Field(default=0, ge=0)

    @abstractmethod
    def _answer(
        self, messages: Sequence[RoleText], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Delta]:
        """The parts of the answer."""

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("model_name", "context_tokens", "stop", *_SAMPLING)
        return {name: str(value) for name in names if (value := getattr(self, name)) is not None}

    def _deltas(
        self, messages: list[BaseMessage], stop: Sequence[str], options: Mapping[str, Any]
    ) -> Iterator[Delta]:
        values = {name: options.get(name, getattr(self, name)) for name in _SAMPLING}
        sampling = Sampling(
            **{name: value for name, value in values.items() if value is not None}, stop=tuple(stop)
        )
        return self._answer(role_texts(messages), sampling, options.get("cancelled", never))


def role_texts(messages: Sequence[BaseMessage]) -> list[RoleText]:
    """Roles and texts of messages.

    Raises:
        ModelError: a message has another role, or isn't text.
    """
    return [(_role(message), _content(message)) for message in messages]


def _role(message: BaseMessage) -> str:
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, "")
    if role not in _ROLES.values():
        raise ModelError(_("This chat model takes no messages of type {type!r}.", type=message.type))
    return role


def _content(message: BaseMessage) -> str:
    blocks = message.content if isinstance(message.content, list) else []
    kinds = {block.get("type") for block in blocks if isinstance(block, dict)} - {"text", "reasoning"}
    if kinds:
        raise ModelError(
            _("This chat model reads text only, not {kinds}.", kinds=", ".join(sorted(map(str, kinds))))
        )
    return str(message.text)
