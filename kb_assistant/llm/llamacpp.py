"""A GGUF file as a LangChain chat model, run by llama.cpp in this process.

Messages in, streamed text and exact token counts out. Loading and the engine itself are in server.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, ChatMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr

from kb_assistant.errors import ModelError
from kb_assistant.llm.server import LlamaServer, open_server

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_REPLACEMENT = "\ufffd"


class LlamaCppChat(BaseChatModel):
    """Chat model over one GGUF file. The file is loaded at first use and shared within the process.

    With temperature 0 the most probable token is taken each time.

    Attributes:
        model_path: The file.
        model_name: How answers name the model; by default the file's name without its ending.
        languages: Languages it answers in; empty where unknown.
        context_tokens: Longest prompt and answer together.
        max_tokens: Longest answer.
        threads: Threads of the engine; 0 takes all cores.
        stop: Texts that end an answer; they aren't part of it.
    """

    model_path: Path
    model_name: str = ""
    languages: tuple[str, ...] = ()
    context_tokens: int = Field(default=2048, ge=16)
    max_tokens: int | None = Field(default=256, ge=1)
    temperature: float | None = Field(default=0.0, ge=0)
    top_p: float = 0.8
    top_k: int = 50
    repeat_penalty: float = 1.0
    seed: int = 0
    threads: int = Field(default=0, ge=0)
    stop: list[str] | None = None

    _server: LlamaServer | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self.model_name = self.model_name or self.model_path.stem

    @property
    def server(self) -> LlamaServer:
        """The loaded model, with address and key of its OpenAI-compatible port."""
        if self._server is None:
            self._server = open_server(self.model_path, self.context_tokens, self.threads or os.cpu_count() or 1)
        return self._server

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("model_path", "context_tokens", "max_tokens", "stop", *_SAMPLING)
        return {name: str(value) for name in names if (value := getattr(self, name)) is not None}

    def get_num_tokens(self, text: str) -> int:
        """Tokens of `text` by the model's own tokenizer, as content of a message."""
        return len(self.server.tokens(self.server.plain(text), control=False))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Tokens of the prompt these messages make, by the model's own chat template: exact."""
        del tools  # not supported, so they cost nothing
        prompt = self.server.prompt(_wire(messages, self.server.plain))
        return len(self.server.tokens(prompt, control=True))

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
        body = self._request(kwargs) | {
            "messages": _wire(messages, self.server.plain),
            "stop": stop or self.stop or [],
        }
        end: dict[str, Any] = {"model_name": self.model_name, "model_provider": "llamacpp"}
        usage: UsageMetadata | None = None
        held = ""
        for event in self.server.stream(body):
            usage = _usage(event) or usage
            end |= _ending(event)
            text, held = whole_characters(held + _text(event))
            if text:
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=text))
                if run_manager:
                    run_manager.on_llm_new_token(text, chunk=chunk)
                yield chunk
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", response_metadata=end, usage_metadata=usage, chunk_position="last"),
            generation_info={"finish_reason": end.get("finish_reason")},
        )

    def _request(self, given: dict[str, Any]) -> dict[str, Any]:
        values = {name: given.get(name, getattr(self, name)) for name in (*_SAMPLING, "max_tokens")}
        return {name: value for name, value in values.items() if value is not None} | {"cache_prompt": True}


_SAMPLING = ("temperature", "top_p", "top_k", "repeat_penalty", "seed")


def whole_characters(text: str) -> tuple[str, str]:
    """Split a text into what can be shown and an end that may still be half a character."""
    shown = text.rstrip(_REPLACEMENT)
    return shown, text[len(shown) :]


def _wire(messages: list[BaseMessage], plain: Callable[[str], str]) -> list[dict[str, str]]:
    return [{"role": _role(message), "content": plain(_content(message))} for message in messages]


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


def _text(event: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))


def _ending(event: dict[str, Any]) -> dict[str, Any]:
    reasons = [choice["finish_reason"] for choice in event.get("choices", ()) if choice.get("finish_reason")]
    ending: dict[str, Any] = {"finish_reason": reasons[0]} if reasons else {}
    if timings := event.get("timings"):
        ending["timings"] = {
            "prompt_ms": timings["prompt_ms"],
            "predicted_ms": timings["predicted_ms"],
            "predicted_per_second": timings["predicted_per_second"],
        }
    return ending


def _usage(event: dict[str, Any]) -> UsageMetadata | None:
    if not (usage := event.get("usage")):
        return None
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens")
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
        input_token_details=InputTokenDetails() if cached is None else InputTokenDetails(cache_read=cached),
    )
