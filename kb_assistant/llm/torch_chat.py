"""An official ChatGLM2 folder as a LangChain chat model, run by torch."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import BaseMessage
from pydantic import PrivateAttr

from kb_assistant.chatglm2.checkpoint import TOKENIZER, Checkpoint, read_checkpoint
from kb_assistant.chatglm2.prompt import ChatTemplate
from kb_assistant.chatglm2.tokenizer import build_tokenizer
from kb_assistant.llm.base import CHATGLM2, LocalChat, RoleText, Sampling, role_texts
from kb_assistant.llm.streaming import Delta
from kb_assistant.lock import in_forked_child
from kb_assistant.models.adapters import Adapter
from kb_assistant.torch_runtime import import_torch, torch_device

if TYPE_CHECKING:
    from kb_assistant.llm.torch_engine import TorchEngine

_loaded: weakref.WeakValueDictionary[tuple[Any, ...], TorchEngine] = weakref.WeakValueDictionary()
_loading = threading.Lock()


def _renew_lock() -> None:
    """Renew the lock in a forked child: a thread of the parent may have held it."""
    global _loading
    _loading = threading.Lock()


in_forked_child(_renew_lock)


class TorchChat(LocalChat):
    """Chat model over an official ChatGLM2 or ChatGLM3 folder. It is loaded at the first use and shared.

    Attributes:
        folder: The folder.
        quantize: "int4", "nf4" (see `load_model`), "none", or "auto": INT4 folders as they are, fp16 folders as
            NF4 if bitsandbytes is installed, else as INT4.
        device: "cpu", "cuda", or "auto".
        adapter: What was trained on the model; None for nothing.
    """

    folder: Path
    quantize: Literal["auto", "none", "int4", "nf4"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    adapter: Adapter | None = None

    _checkpoint: Checkpoint = PrivateAttr()
    _template: ChatTemplate = PrivateAttr()
    _engine: TorchEngine | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._checkpoint = read_checkpoint(self.folder)
        self._template = ChatTemplate(
            build_tokenizer(self.folder / TOKENIZER, self._checkpoint.generation), self._checkpoint.generation
        )
        self.model_name = self.model_name or self.folder.name
        if self.temperature is None:
            self.temperature = CHATGLM2.temperature

    @property
    def engine(self) -> TorchEngine:
        """The loaded model."""
        if self._engine is None:
            self._engine = self._open()
        return self._engine

    @property
    def native_history(self) -> bool:
        return True

    @property
    def full_answers(self) -> bool:
        return True

    @property
    def _llm_type(self) -> str:
        return "torch"

    def get_num_tokens(self, text: str) -> int:
        """Tokens of `text` by the model's own tokenizer."""
        return len(self._template.encode(text))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Exact number of tokens of the prompt for these messages."""
        del tools  # unsupported, so they take no tokens
        return len(self._template.prompt(role_texts(messages)))

    def _answer(
        self, messages: Sequence[RoleText], sampling: Sampling, cancelled: Callable[[], bool]
    ) -> Iterator[Delta]:
        ids, engine = self._template.prompt(messages), self.engine
        return engine.queue.stream(lambda emit: engine.answer(ids, sampling, emit), cancelled)

    def _open(self) -> TorchEngine:
        """The engine for these settings, loaded now if this process doesn't have it yet."""
        torch, device = import_torch(), torch_device(self.device)
        from kb_assistant.llm.torch_engine import TorchEngine, best_quantize

        quantize = best_quantize(self._checkpoint, self.quantize)
        adapter = self.adapter.sha256 if self.adapter else ""
        key = (self.folder.resolve(), quantize, device, self.context_tokens, adapter)
        with _loading:
            engine = _loaded.get(key)
            if engine is None:
                if self.threads:
                    torch.set_num_threads(self.threads)
                engine = _loaded[key] = TorchEngine(
                    self._checkpoint, self._template, quantize, device, self.context_tokens, self.adapter
                )
            return engine
