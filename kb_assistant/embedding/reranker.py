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

from kb_assistant.errors import ModelError
from kb_assistant.lock import survive_forks
from kb_assistant.messages import _
from kb_assistant.model_folder import Model
from kb_assistant.once import once, one_at_a_time

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
        self._device = None if device == "auto" else device
        self._lock = RLock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: weights are only read."""

    def after_fork(self) -> None:
        """Continue in a forked child with its one thread."""
        self._lock = RLock()
        if "_network" in vars(self):
            import torch

            torch.set_num_threads(1)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each of the first texts answers the question, larger is better; for as many texts as its time
        allows, at least BATCH, at most RERANKED.

        Raises:
            ModelError: the model can't be loaded, or doesn't give one finite number per text.
        """
        import numpy as np

        found: list[float] = []
        with self._lock:
            network = self._network
            deadline = time.monotonic() + self.seconds
            for start in range(0, min(len(texts), RERANKED), BATCH):
                pairs = [(question, text) for text in texts[start : min(start + BATCH, RERANKED)]]
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
        from kb_assistant.embedding.local import import_torch, quiet

        import_torch()
        try:
            with quiet():
                from sentence_transformers import CrossEncoder

                network: CrossEncoder = CrossEncoder(
                    str(self.model.path),
                    device=self._device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        except Exception as error:  # transformers, safetensors and torch have no common error class
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                _(
                    "{name} can't be loaded from {path}: {reason}",
                    name=self.model.name,
                    path=self.model.path,
                    reason=reason,
                ),
                _("Install it again, or choose another reranker."),
            ) from error
        return network


@one_at_a_time
@lru_cache(maxsize=2)
def open_reranker(model: Model, device: str = "auto", seconds: float = 2.0) -> Reranker:
    """The model's reranker, loaded once for all knowledge bases of this process."""
    return Reranker(model, device, seconds)
