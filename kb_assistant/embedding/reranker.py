"""Reranks with a cross-encoder, which reads question and passage together (Nogueira and Cho, 2019).

It is slower than the rest of a search, so it is off unless the setting `reranker` names a model, and limited: it
reads the best RERANKED texts in small batches and stops when its time is up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING

from kb_assistant.embedding.network import load_network
from kb_assistant.errors import ModelError
from kb_assistant.lock import survive_forks
from kb_assistant.messages import _
from kb_assistant.model_folder import Model
from kb_assistant.once import once, one_at_a_time
from kb_assistant.torch_runtime import gpu_errors

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

RERANKED = 30
"""Most texts that are read."""

BATCH = 5


class Reranker:
    """A cross-encoder from a folder. Safe to share between threads.

    Args:
        model: A reranker (see `kb_assistant.models.home.ModelHome.get`).
        device: `auto` (CUDA if available), `cpu` or `cuda`.
        seconds: After this time no further batch starts.
    """

    def __init__(self, model: Model, device: str = "auto", seconds: float = 2.0) -> None:
        self.model, self.seconds = model, seconds
        self._device = device
        self._lock = RLock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: weights are only read."""

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = RLock()

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each of the first texts answers the question, larger is better; for as many texts as its time
        allows, at least BATCH, at most RERANKED.

        Raises:
            ModelError: the model can't be loaded, doesn't give one finite number per text, or the GPU is too small
                or was used before a fork.
        """
        import numpy as np

        found: list[float] = []
        with self._lock:
            network = self._network
            deadline = time.monotonic() + self.seconds
            for start in range(0, min(len(texts), RERANKED), BATCH):
                pairs = [(question, text) for text in texts[start : min(start + BATCH, RERANKED)]]
                with gpu_errors():
                    values = np.asarray(network.predict(pairs, show_progress_bar=False), np.float64)
                if values.shape != (len(pairs),) or not np.isfinite(values).all():
                    raise ModelError(
                        _("{name} gives no score for each passage.", name=self.model.name),
                        _("It isn't a reranker: choose another."),
                    )
                found += values.tolist()
                if time.monotonic() > deadline:
                    break
        return found

    @once
    def _network(self) -> CrossEncoder:
        network: CrossEncoder = load_network(
            "CrossEncoder", self.model, self._device, _("Install it again, or choose another reranker.")
        )
        return network


@one_at_a_time
@lru_cache(maxsize=2)
def open_reranker(model: Model, device: str = "auto", seconds: float = 2.0) -> Reranker:
    """The model's reranker, loaded once for all knowledge bases of this process."""
    return Reranker(model, device, seconds)
