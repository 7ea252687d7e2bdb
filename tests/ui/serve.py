"""`kb` with vectors that are remembered from run to run: `python -m tests.ui.serve ui --no-browser --port 8700`.

The vectors are the real embedder's; what isn't remembered yet is computed. KB_SLOW_MODEL makes the chat model one
that says that text word by word, with KB_SLOW_SECONDS between them, and fails at the word "FAIL": for what happens
while an answer is coming.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from kb_assistant.cli import main
from kb_assistant.llm.open import ChatModels
from kb_assistant.open_models import OpenModels
from tests.real import RememberedEmbeddings


class SlowChat(BaseChatModel):
    """Says `text` word by word."""

    text: str
    seconds: float

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return generate_from_stream(self._stream(messages, *args, **kwargs))

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for word in self.text.split(" "):
            time.sleep(self.seconds)
            if word == "FAIL":
                raise OSError("the model's file is gone")
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{word} "))


class SavedEmbeddings(RememberedEmbeddings):
    """Saves what it learns at once: a server is killed, not closed."""

    def _learn(self, keys: Any, vectors: Any) -> None:
        super()._learn(keys, vectors)
        self.save()
        self._fresh = 0


_lock = threading.Lock()
_embedders: dict[Path, SavedEmbeddings] = {}


def _embedder(models: OpenModels) -> SavedEmbeddings:
    model = models.home.get("multilingual-e5-small", "embedder")
    with _lock:
        return _embedders.setdefault(
            model.path, SavedEmbeddings(model, model.path.resolve().parents[1] / "vectors")
        )


def _chat_model(_: ChatModels) -> BaseChatModel:
    return SlowChat(text=os.environ["KB_SLOW_MODEL"], seconds=float(os.environ.get("KB_SLOW_SECONDS", "0.1")))


def _replace(owner: type, name: str, make: Any) -> None:
    replaced = cached_property(make)
    replaced.__set_name__(owner, name)
    setattr(owner, name, replaced)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    _replace(OpenModels, "embedder", _embedder)
    if os.environ.get("KB_SLOW_MODEL"):
        _replace(ChatModels, "answering", _chat_model)
    main()
