"""One loaded GGUF file: llama.cpp's server inside this process, and requests to it.

Each file is loaded once per process for each adapter, however many chat models use it. Requests for text are
direct calls to the engine, each in its own thread; only tokenizer and chat template use its loopback port, which
requires a random key. Not done here: messages, sampling, LangChain.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import sys
import threading
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.llm.gguf_header import read_gguf_header
from kb_assistant.llm.gguf_lora import check_gguf_lora
from kb_assistant.llm.request_queue import Emit, RequestQueue, never
from kb_assistant.lock import in_forked_child
from kb_assistant.messages import _
from kb_assistant.models.adapters import GGUF, Adapter
from kb_assistant.models.native_engine import import_engine
from kb_assistant.openmp import waiting_asleep

# Prompt tokens processed between two checks whether the reader has gone away.
_PROMPT_BATCH = 128
# Memory for prompts of conversations other than the last one.
_PROMPT_CACHE_MIB = 256
_HTTP_SECONDS = 60.0
# Cached texts that the tokenizer checked. Documents bring new ones: at this number the cache is cleared.
_REMEMBERED = 4096
# The possible form of a control token; the tokenizer decides which matches are control tokens.
_MARKUP = re.compile(r"<[^<>\s]{1,64}>|\[[^\[\]\s]{1,64}\]")

_loaded: weakref.WeakValueDictionary[tuple[object, ...], LlamaServer] = weakref.WeakValueDictionary()
_loading = threading.Lock()
_forked = False
"""Whether a parent of this process had loaded llama.cpp before the fork."""
_loopback = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_server(
    path: Path, context_tokens: int, threads: int, adapter: Adapter | None = None, switching: bool = False
) -> LlamaServer:
    """The server for a file, loaded now if this process doesn't have it yet. Freed with its last user.

    Args:
        adapter: What was trained on the model.
        switching: Requests may set its strength. Only the last conversation is kept in memory then: llama.cpp
            would give keys and values of one strength to a request of another.
    """
    key = (path.resolve(), context_tokens, threads, adapter.sha256 if adapter else "", switching)
    with _loading:
        server = _loaded.get(key)
        if server is None:
            lora = None if adapter is None else _gguf_of(adapter)
            server = _loaded[key] = LlamaServer(path.resolve(), context_tokens, threads, lora, switching)
            if _forked:
                _never_free(server)
        return server


def _leave_to_parent() -> None:
    """In a forked child: drop the parent's servers, whose threads exist only in the parent.

    Freeing a server, or ending llama.cpp's log with the process, would wait for such threads. So the child frees
    no server, and exits before C++ destructors run.
    """
    global _loading, _forked
    _loading = threading.Lock()
    for server in _loaded.values():
        _never_free(server)
    _loaded.clear()
    if "xllamacpp" in sys.modules and not _forked:
        _forked = True
        with suppress(AttributeError):  # a C library without glibc's on_exit
            ctypes.CDLL(None).on_exit(ctypes.CDLL(None)._exit, None)


def _never_free(server: LlamaServer) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))


in_forked_child(_leave_to_parent)


class LlamaServer:
    """A loaded model. Callers in several threads take turns.

    Attributes:
        process: The process that loaded it. It doesn't run in a forked child.
        address: Base address of its HTTP port, on 127.0.0.1.
        key: The bearer token of that port.
    """

    def __init__(
        self, path: Path, context_tokens: int, threads: int, lora: Path | None = None, switching: bool = False
    ) -> None:
        self.process = os.getpid()
        self.key = secrets.token_urlsafe(32)
        self._adapted = lora is not None
        self._server = _load(path, context_tokens, threads, self.key, lora, 0 if switching else _PROMPT_CACHE_MIB)
        self.address: str = self._server.listening_address
        self._queue: RequestQueue[dict[str, Any]] = RequestQueue("llama-answer")
        self._control: dict[str, bool] = {}
        # A server freed before its loop runs would hang forever; this request is answered by the loop.
        self._ask("/lora-adapters")

    def stream(self, body: dict[str, Any], cancelled: Callable[[], bool] = never) -> Iterator[dict[str, Any]]:
        """The chunks of an answer as they come. Closing the iterator stops the model.

        Args:
            body: A request to the OpenAI API, with "messages", or with a "prompt" of token ids.
            cancelled: Called often, also during other requests; once it returns True, the stream ends.

        Raises:
            ModelError: the prompt doesn't fit, or the engine refuses the request.
        """
        # Without progress chunks the model couldn't be stopped while it reads a long prompt.
        if self._adapted:
            # A request that names no strength would go on with keys and values of another's strength.
            body = {"lora": lora_at(1.0)} | body
        request = body | {"stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
        answer = self._server.handle_completions if "prompt" in body else self._server.handle_chat_completions

        def work(emit: Emit[dict[str, Any]]) -> None:
            try:
                answer(request, emit)
            except Exception as error:
                raise ModelError(_("The chat model can't answer: {reason}.", reason=error)) from error

        for chunk in self._queue.stream(work, cancelled):
            if "error" in chunk:
                raise _refusal(chunk["error"])
            yield chunk

    def prompt(self, messages: list[dict[str, str]]) -> str:
        """The prompt text for a conversation, by the model's own chat template."""
        return str(self._ask("/apply-template", {"messages": messages})["prompt"])

    def tokens(self, text: str, *, control: bool) -> list[int]:
        """Token ids of a text. With `control`, of a prompt, whose control tokens are recognised."""
        body = {"content": text, "add_special": control, "parse_special": control}
        return list(self._ask("/tokenize", body)["tokens"])

    def pieces(self, text: str, *, control: bool) -> list[tuple[int, bytes]]:
        """The same ids, each with the bytes that it stands for."""
        body = {"content": text, "add_special": control, "parse_special": control, "with_pieces": True}
        found = ((one["id"], one["piece"]) for one in self._ask("/tokenize", body)["tokens"])
        return [(i, bytes(piece) if isinstance(piece, list) else piece.encode()) for i, piece in found]

    def escape_control(self, text: str) -> str:
        """The text with the model's control tokens broken by a space: a document can't pose as another role.

        Lone surrogates, which no tokenizer accepts, become "?".
        """
        text = text.encode("utf-8", "replace").decode("utf-8")
        return _MARKUP.sub(lambda match: self._broken(match[0]), text)

    def _broken(self, markup: str) -> str:
        return f"{markup[0]} {markup[1:]}" if self._is_control(markup) else markup

    def _is_control(self, markup: str) -> bool:
        """Whether the tokenizer reads this as one control token. The latest results are cached."""
        known = self._control.get(markup)
        if known is None:
            as_text, as_control = (self.tokens(markup, control=control) for control in (False, True))
            known = len(as_control) < len(as_text)
            if len(self._control) >= _REMEMBERED:
                self._control.clear()
            self._control[markup] = known
        return known

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with _loopback.open(
                urllib.request.Request(self.address + path, data, headers), timeout=_HTTP_SECONDS
            ) as answer:
                return json.load(answer)
        except (OSError, ValueError) as error:
            raise ModelError(
                _(
                    "The chat model doesn't answer on {address}{path}: {reason}.",
                    address=self.address,
                    path=path,
                    reason=error,
                )
            ) from error


def _gguf_of(adapter: Adapter) -> Path:
    """The file of an adapter that llama.cpp reads.

    Raises:
        ModelError: it has none, or it is damaged.
    """
    if adapter.method == "prefix":
        raise ModelError(
            _("The adapter {name!r} is a prefix of P-Tuning v2, which llama.cpp can't run.", name=adapter.name),
            _("Add the model for torch: kb models add FOLDER --engine torch"),
        )
    if GGUF not in adapter.files:
        raise ModelError(
            _("The adapter {name!r} has no file for llama.cpp.", name=adapter.name),
            _('pip install "kb-assistant[llama]"; then: kb train export {name} --gguf', name=adapter.name),
        )
    return adapter.path(GGUF)


def _load(path: Path, context_tokens: int, threads: int, key: str, lora: Path | None, cache_mib: int) -> Any:
    xllamacpp = _engine()
    header = read_gguf_header(path)  # llama.cpp gives no reason for refusing a file
    params = xllamacpp.CommonParams()
    if lora is not None:
        check_gguf_lora(lora, header)
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.0)]
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = _PROMPT_BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    # Mapping the file would keep a second copy: the weights are repacked for the CPU on loading.
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.cache_ram_mib = cache_mib
    params.enable_reasoning = 0
    params.warmup = False
    params.verbosity = 0
    params.offline = True
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [key]
    params.cors_origins = ""
    params.ui = params.endpoint_slots = params.endpoint_metrics = params.endpoint_props = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelError(
            _("{path} can't be loaded.", path=path),
            _("The file is damaged, of a kind this llama.cpp doesn't know, or larger than the free memory."),
        ) from error


def lora_at(strength: float) -> list[dict[str, Any]]:
    """The field "lora" of a request: the strength of the adapter, 0 for the base alone."""
    return [{"id": 0, "scale": strength}]


def _engine() -> Any:
    try:
        with waiting_asleep():
            return import_engine()
    except ImportError as error:
        raise ModelError(_("Package xllamacpp is missing."), _('pip install "kb-assistant[llama]"')) from error


def _refusal(error: dict[str, Any]) -> ModelError:
    if error.get("type") == "exceed_context_size_error":
        return ModelError(
            _(
                "The prompt has {count} tokens; the context holds {context}.",
                count=error["n_prompt_tokens"],
                context=error["n_ctx"],
            ),
            _("Raise context_tokens, or ask with fewer passages (k)."),
        )
    return ModelError(_("The chat model can't answer: {reason}.", reason=error.get("message", error)))
