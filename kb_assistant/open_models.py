"""The models of one knowledge base, each opened when it is first used: embedder, reranker, reader, chat models."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kb_assistant.embedding.model_server import is_served, served_model, server_key
from kb_assistant.errors import ModelError
from kb_assistant.lock import survive_forks
from kb_assistant.model_folder import FLOAT32, INT8
from kb_assistant.models.adapters import WEIGHTS, AdapterHome
from kb_assistant.models.catalogue import CATALOGUE
from kb_assistant.models.home import ModelHome
from kb_assistant.once import once
from kb_assistant.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from kb_assistant.embedding.base import TextEmbeddings
    from kb_assistant.embedding.reranker import Reranker
    from kb_assistant.embedding.served_reranker import ServedReranker
    from kb_assistant.llm.open import ChatModels
    from kb_assistant.model_folder import Model
    from kb_assistant.reader.reader import Reader

_AS_GOOD_IN_INT8 = frozenset(("multilingual-e5-small",))
"""Embedders that find as much with passages embedded in 8-bit integers (docs/measured.md). A new knowledge base
has them so where the processor is quicker with such numbers."""

_OTHER_CHAT_MODELS = 2
"""Most chat models that stay open besides the one of the settings."""


class OpenModels:
    """Opens models by the settings, and keeps them. Threads may share it.

    Args:
        settings: Name the models, and the home they are installed in.
        kept_fingerprints: Returns the fingerprints of the embedders whose vectors are kept; a server's embedder is
            known again by them.
        embedder: Used instead of the settings' embedder.
        chat_model: Used instead of the settings' model.
    """

    def __init__(
        self,
        settings: Settings,
        kept_fingerprints: Callable[[], Sequence[dict[str, str | int]]],
        embedder: TextEmbeddings | None = None,
        chat_model: BaseChatModel | None = None,
    ) -> None:
        self._settings, self._kept_fingerprints = settings, kept_fingerprints
        self._given_embedder, self._given_model = embedder, chat_model
        self.home = ModelHome(settings.models_dir)
        self.adapters = AdapterHome(settings.home)
        self._others: dict[str, BaseChatModel] = {}
        self._lock = threading.RLock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: models prepare themselves."""

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = threading.RLock()

    def take_over(self, settings: Settings) -> None:
        """Open chat models by these settings from now on; see KnowledgeBase.take_over."""
        with self._lock:
            self._settings = settings
            self._others.clear()
            self.__dict__.pop("chat_models", None)

    @once
    def embedder(self) -> TextEmbeddings:
        """See KnowledgeBase.embedder."""
        if self._given_embedder is not None:
            return self._given_embedder
        if is_served(self._settings.embedder):
            return self._served_embedder()
        from kb_assistant.embedding.local import open_embeddings

        name = self._settings.embedder
        model = self.home.get(name, "embedder")
        if not name.endswith((INT8, FLOAT32)) and self._goes_on_in_int8(model):
            model = self.home.get(f"{name}{INT8}", "embedder")
        return open_embeddings(model, self._settings.device, self._settings.threads)

    def _goes_on_in_int8(self, model: Model) -> bool:
        """Whether the kept vectors are of 8-bit integers; where there are none yet, whether new ones shall be."""
        from kb_assistant.embedding.onnx_encoder import better_in_int8

        if kept := self._kept_fingerprints():
            return kept[0]["name"] == f"{model.name}{INT8}"
        return model.name in _AS_GOOD_IN_INT8 and better_in_int8(model, self._settings.device)

    def _served_embedder(self) -> TextEmbeddings:
        from kb_assistant.embedding.served import ServedEmbeddings, open_encoder

        served = served_model(self._settings.embedder, self._settings.base_url)
        offer = CATALOGUE.get(served.model.rpartition("/")[2])
        known = offer.model if offer else None
        encoder = open_encoder(
            served,
            server_key("embedder"),
            self._settings.server_seconds,
            self._settings.query_prefix or (known.query_prefix if known else ""),
            self._settings.passage_prefix or (known.passage_prefix if known else ""),
        )
        return ServedEmbeddings(encoder, self._kept_fingerprints, known.background_cosines if known else None)

    @property
    def background_cosines(self) -> tuple[float, float] | None:
        """Mean and standard deviation of the embedder's cosines of texts that have nothing to do with each other;
        None if they weren't measured."""
        return getattr(self.embedder, "background_cosines", None)

    def is_measured(self) -> bool:
        """Whether the default thresholds apply to this embedder, which needn't be opened or installed."""
        if self._given_embedder is not None or is_served(self._settings.embedder):
            return self.background_cosines is not None
        try:
            return self.home.get(self._settings.embedder, "embedder").background_cosines is not None
        except ModelError:
            return False

    @once
    def chat_models(self) -> ChatModels:
        """The model that answers, and the one that rewrites questions."""
        return self.chat_models_with(self._given_model)

    def chat_models_with(self, answering: BaseChatModel | None) -> ChatModels:
        """The same where another model answers; None for the settings'."""
        from kb_assistant.llm.open import ChatModels

        return ChatModels(self._settings, self.home, self.embedder, answering)

    def another_chat_model(self, name: str) -> BaseChatModel:
        """See KnowledgeBase.another_model."""
        from kb_assistant.llm.open import open_chat_model

        with self._lock:
            if name not in self._others:
                for old in list(self._others)[: 1 - _OTHER_CHAT_MODELS]:
                    del self._others[old]
                self._others[name] = open_chat_model(self._settings.but(model=name), self.home, self.embedder)
            return self._others[name]

    @once
    def reranker(self) -> Reranker | ServedReranker | None:
        """The reranker of the settings; None if they name none.

        Raises:
            ModelError: it isn't installed, or no server can be named so.
        """
        if not self._settings.reranker:
            return None
        if is_served(self._settings.reranker):
            from kb_assistant.embedding.served_reranker import open_served_reranker

            served = served_model(self._settings.reranker, self._settings.base_url)
            return open_served_reranker(served, server_key("reranker"), self._settings.rerank_seconds)
        from kb_assistant.embedding.reranker import open_reranker

        model = self.home.get(self._settings.reranker, "reranker")
        return open_reranker(model, self._settings.device, self._settings.rerank_seconds)

    @once
    def reader(self) -> Reader | None:
        """See KnowledgeBase.reader."""
        name = self._settings.answer_reader
        if name == "off":
            return None
        from kb_assistant.reader.reader import BASE, open_reader

        if name != "on":
            trained = self.adapters.get(name)
            trained.require("reader")
            base = self.home.get(BASE, "embedder")
            trained.require_base(base)
            return open_reader(base.path, self._settings.threads, trained.path(WEIGHTS))
        installed = (model for model in self.home.installed() if model.kind == "embedder")
        found = next((model for model in installed if model.name == BASE), None)
        return open_reader(found.path, self._settings.threads) if found else None
