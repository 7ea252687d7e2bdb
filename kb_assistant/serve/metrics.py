"""What the server counts, in Prometheus' text form. Labels are route templates and names, never texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kb_assistant.errors import KBError

if TYPE_CHECKING:
    from kb_assistant.answering.reply import Reply
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.types import Report

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_BASES = 100
"""Knowledge bases that get labels of their own."""

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """The counters of one server.

    Args:
        waiting: Returns how many requests of each kind run and wait.
        bases: Returns the knowledge bases to describe.
        read: Returns how many files jobs have read with each outcome.
    """

    def __init__(
        self,
        waiting: Callable[[], Mapping[str, int]] = dict,
        bases: Callable[[], Iterable[KnowledgeBase]] = tuple,
        read: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        made = self._registry
        self._requests = Counter("kb_requests", "Requests.", ("method", "route", "status"), registry=made)
        self._durations = Histogram(
            "kb_request_seconds", "How long requests take.", ("route",), registry=made, buckets=_SECONDS
        )
        self._tokens = Counter("kb_tokens", "Tokens of prompts and answers.", ("type",), registry=made)
        self._answers = Counter("kb_answers", "Answers.", ("outcome",), registry=made)
        self._stages = Histogram(
            "kb_retrieval_seconds", "Stages of searches.", ("stage",), registry=made, buckets=_SECONDS
        )
        self._documents = Counter("kb_documents", "Documents that were sent.", ("status",), registry=made)
        made.register(_Now(waiting, bases, read))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route or "none", str(status)).inc()
        self._durations.labels(route or "none").observe(seconds)

    def answered(self, reply: Reply) -> None:
        """Count an answer that has ended."""
        outcome = "stopped" if reply.stopped else "refused" if reply.refused else (
            "uncertain" if reply.uncertain else "answered"
        )  # fmt: skip
        self._answers.labels(outcome).inc()
        self._tokens.labels("input").inc(reply.usage.prompt_tokens or 0)
        self._tokens.labels("output").inc(reply.usage.completion_tokens or 0)

    def searched(self, seconds: Mapping[str, float]) -> None:
        """Count a search by its stages."""
        for stage, took in seconds.items():
            self._stages.labels(stage).observe(took)

    def ingested(self, report: Report) -> None:
        """Count documents by what became of them."""
        for row in report:
            self._documents.labels(row.status).inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Now(Collector):
    """What is so at the moment of asking."""

    def __init__(
        self,
        waiting: Callable[[], Mapping[str, int]],
        bases: Callable[[], Iterable[KnowledgeBase]],
        read: Callable[[], Mapping[str, int]],
    ) -> None:
        self._waiting, self._bases, self._read = waiting, bases, read
        self._began = time.time()

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        started = GaugeMetricFamily("kb_start_time_seconds", "When the server began.", self._began)
        queue = GaugeMetricFamily("kb_queue", "Requests that run and wait.", labels=("kind",))
        for kind, count in self._waiting().items():
            queue.add_metric([kind], count)
        read = CounterMetricFamily("kb_files_read", "Files that jobs came to, by outcome.", labels=("status",))
        for outcome, count in dict(self._read()).items():
            read.add_metric([outcome], count)
        counts = GaugeMetricFamily("kb_base", "What a knowledge base holds.", labels=("kb", "what"))
        for base in list(self._bases())[:MOST_BASES]:
            try:
                status = base.status()
                with base.store.read() as snapshot:
                    generation = snapshot.revision
            except (KBError, OSError):
                continue
            found = {what: status[what] for what in ("sources", "chunks", "texts", "failed")}
            found["generation"] = generation
            found["vectors"] = (status["index"] or {}).get("vectors", 0)
            for what, count in found.items():
                counts.add_metric([base.settings.kb, what], count)
        return (started, queue, read, counts)
