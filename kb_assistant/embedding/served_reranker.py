"""Reranks by a server: `/rerank` in the form of Jina and Cohere, which vLLM and llama-server speak, too."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from kb_assistant.embedding.model_server import ModelServer, ServedModel, ServerError
from kb_assistant.embedding.reranker import RERANKED
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.once import one_at_a_time

_log = logging.getLogger(__name__)

_TOO_LONG = frozenset((400, 413, 422))


class ServedReranker:
    """A cross-encoder behind a server. Safe to share between threads.

    Args:
        server: The server.
        name: The model's name there.
        seconds: After this time the search goes on without.
    """

    def __init__(self, server: ModelServer, name: str, seconds: float = 2.0) -> None:
        self.server, self.name, self.seconds = server, name, seconds

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each of the first RERANKED texts answers the question, larger is better. None at all if the
        server is away, busy or late, or finds the texts too long, which is logged: the passages keep their order.

        Raises:
            ModelError: the server has no such model, wants another key, or gives no scores.
        """
        read = list(texts[:RERANKED])
        if not read:
            return []
        body = {"model": self.name, "query": question, "documents": read, "top_n": len(read)}
        try:
            answer = self.server.post("/rerank", body, seconds=self.seconds, tries=1)
        except ServerError as error:
            if not error.passing and error.status not in _TOO_LONG:
                raise
            _log.warning("Passages aren't reranked: %s", error.message)
            return []
        return self._scores(answer, len(read))

    def _scores(self, answer: Any, count: int) -> list[float]:
        try:
            scores = {row["index"]: float(row["relevance_score"]) for row in answer["results"]}
            found = [scores[place] for place in range(count)]
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise self._nonsense() from error
        if len(scores) != count or not all(map(math.isfinite, found)):
            raise self._nonsense()
        return found

    def _nonsense(self) -> ModelError:
        return ModelError(
            _("{name} at {url} gives no score for each passage.", name=self.name, url=self.server.url),
            _("It isn't a reranker: choose another."),
        )


@one_at_a_time
@lru_cache(maxsize=2)
def open_served_reranker(served: ServedModel, key: str, seconds: float) -> ServedReranker:
    """The model's reranker, opened once for all knowledge bases of this process."""
    return ServedReranker(ModelServer(served.url, key, seconds), served.model, seconds)
