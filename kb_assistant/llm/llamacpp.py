"""A GGUF file as a LangChain chat model, run by llama.cpp in this process.

Handles prompts and token counts; loading and the engine itself are in llama_server.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import BaseMessage
from langchain_core.messages.ai import UsageMetadata
from pydantic import PrivateAttr

from kb_assistant.chatglm2.prompt import ChatTemplate
from kb_assistant.chatglm2.tokenizer import read_tokenizer
from kb_assistant.errors import ModelError
from kb_assistant.llm.base import CHATGLM2, LocalChat, RoleText, Sampling, role_texts
from kb_assistant.llm.gguf_header import is_large, read_gguf_header
from kb_assistant.llm.llama_server import LlamaServer, lora_at, open_server
from kb_assistant.llm.streaming import Delta, usage_of
from kb_assistant.models.adapters import Adapter
from kb_assistant.processor import usable_cores


class LlamaCppChat(LocalChat):
    """Chat model over one GGUF file. The file is loaded at first use and shared within the process.

    The default temperature is 0.8 for ChatGLM and 0 for other models.

    Attributes:
        model_path: The file. Answers use it as the model's name if there is no model_name.
        tokenizer_path: tokenizer.json of a ChatGLM, which gets its prompt as token ids; None for models whose
            file contains tokenizer and chat template.
        generation: The generation of ChatGLM.
        adapter: What was trained on the model; None for nothing.
    """

    model_path: Path
    tokenizer_path: Path | None = None
    generation: Literal[2, 3] = 2
    adapter: Adapter | None = None

    _server: LlamaServer | None = PrivateAttr(default=None)
    _template: ChatTemplate | None = PrivateAttr(default=None)
    _switching: bool = PrivateAttr(default=False)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self.model_name = self.model_name or self.model_path.stem
        if self.temperature is None:
            self.temperature = CHATGLM2.temperature if self.tokenizer_path else 0.0
        if self.tokenizer_path:
            self._template = ChatTemplate(read_tokenizer(self.tokenizer_path), self.generation)

    @property
    def server(self) -> LlamaServer:
        """The loaded model, with address and key of its OpenAI-compatible port. A forked process loads its own."""
        if self._server is None or self._server.process != os.getpid():
            threads = self.threads or usable_cores()
            self._server = open_server(
                self.model_path, self.context_tokens, threads, self.adapter, self._switching
            )
        return self._server

    @property
    def native_history(self) -> bool:
        """True for ChatGLM, which was trained on rounds, and for models of a billion weights or more."""
        return self._template is not None or self._is_large

    @property
    def full_answers(self) -> bool:
        """The same models may answer at length."""
        return self.native_history

    @cached_property
    def _is_large(self) -> bool:
        with suppress(ModelError):  # loading reports what is wrong with the file
            return is_large(read_gguf_header(self.model_path))
        return False

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    def get_num_tokens(self, text: str) -> int:
        """Tokens of `text` by the model's own tokenizer, as content of a message."""
        if self._template:
            return len(self._template.encode(text))
        return len(self.server.tokens(self.server.escape_control(text), control=False))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Exact number of tokens of the prompt for these messages, by the model's own chat template."""
        del tools  # unsupported, so they take no tokens
        said = role_texts(messages)
        if self._template:
            return len(self._template.prompt(said))
        return len(self.server.tokens(self.server.prompt(_wire(said, self.server.escape_control)), control=True))

    def _answer(
        self, messages: Sequence[RoleText], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Delta]:
        if self._template:
            asked: dict[str, Any] = {"prompt": self._template.prompt(messages)}
        else:
            asked = {"messages": _wire(messages, self.server.escape_control)}
        if self.adapter:
            asked["lora"] = lora_at(self._strength(sampling))
        events = self.server.stream(asked | _body(sampling, self.context_tokens), cancelled)
        pieces = map(_delta, events)
        return _without_blank(pieces) if self._template else pieces

    def _strength(self, sampling: Sampling) -> float:
        """The strength of the adapter. The first that isn't 1 loads the server anew, ready for any."""
        if sampling.adapter_scale != 1 and not self._switching:
            self._switching, self._server = True, None
        return sampling.adapter_scale


def _wire(messages: Sequence[RoleText], escape: Callable[[str], str]) -> list[dict[str, str]]:
    return [{"role": role, "content": escape(content)} for role, content in messages]


def _body(sampling: Sampling, context_tokens: int) -> dict[str, Any]:
    """The fields of the request. The order and kinds of samplers are those of ChatGLM2's own chat."""
    limit = {} if sampling.max_tokens is None else {"max_tokens": sampling.max_tokens}
    return limit | {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": 0.0,
        "repeat_penalty": sampling.repeat_penalty,
        "repeat_last_n": context_tokens,
        "samplers": ["penalties", "temperature", "top_k", "top_p"],
        "seed": sampling.seed,
        "stop": list(sampling.stop),
        "cache_prompt": True,
    }


def _without_blank(pieces: Iterator[Delta]) -> Iterator[Delta]:
    """The pieces, without white space before the first word, where SentencePiece puts a blank."""
    started = False
    for piece in pieces:
        text = piece.text if started else piece.text.lstrip()
        started = started or bool(text)
        yield Delta(text, piece.usage, piece.ending)


def _delta(event: dict[str, Any]) -> Delta:
    said = [choice["delta"].get("content") if "delta" in choice else choice["text"] for choice in _choices(event)]
    return Delta("".join(text for text in said if text), _usage(event), _ending(event))


def _choices(event: dict[str, Any]) -> Sequence[dict[str, Any]]:
    choices: Sequence[dict[str, Any]] = event.get("choices", ())
    return choices


def _ending(event: dict[str, Any]) -> dict[str, Any]:
    reasons = [choice["finish_reason"] for choice in _choices(event) if choice.get("finish_reason")]
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
    return usage_of(usage["prompt_tokens"], usage["completion_tokens"], cached)
