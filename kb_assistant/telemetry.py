"""Spans and measures for OpenTelemetry, with the names of its conventions for generative AI.

Off, and then free, unless a receiver is named by the setting `telemetry` or by OTEL_EXPORTER_OTLP_ENDPOINT. Texts
and paths are told only with OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true.

The conventions (github.com/open-telemetry/semantic-conventions-genai, 0.1.0) are in development; all their names
stand in this module alone. Times are in seconds.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from kb_assistant.messages import _
from kb_assistant.types import Hit, Usage

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

_log = logging.getLogger(__name__)

_NAME = "kb-assistant"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_DISABLED = "OTEL_SDK_DISABLED"
_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_PATIENCE_S = 1.0  # for a receiver that doesn't answer, so that a command's end doesn't wait for it

_OPERATION = "gen_ai.operation.name"
_PROVIDER = "gen_ai.provider.name"
_MODEL = "gen_ai.request.model"
_BASE = "gen_ai.data_source.id"
_ERROR = "error.type"
_METHOD, _ROUTE, _STATUS = "http.request.method", "http.route", "http.response.status_code"
_STEPS = {"embed": "embeddings"}
"""Steps of a search that the conventions have a name for."""

_DURATIONS = tuple(0.01 * 2**step for step in range(14))
_COUNTS = tuple(4**step for step in range(14))


class Operation:
    """Work that is watched. This one does nothing: telemetry is off."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        return None

    def step(self, name: str, seconds: float) -> None:
        """A part of it that took so long and has ended now."""

    def found(self, hits: Sequence[Hit], evidence: float) -> None:
        """The result of a search."""

    def answered(self, usage: Usage, cut: bool, text: str) -> None:
        """The result of a chat model."""

    def responded(self, route: str, status: int) -> None:
        """The answer to a request."""

    def became(self, status: str, chunks: int) -> None:
        """What became of a document, whose work has ended."""


_OFF = Operation()


def retrieval(base: str, k: int, question: str) -> Operation:
    """A search."""
    if _to is None:
        return _OFF
    asked = {"gen_ai.retrieval.query.text": question} if _to.content else {}
    known = {_OPERATION: "retrieval", _BASE: base}
    return _Watched(_to, "retrieval", known | {"gen_ai.retrieval.top_k": k} | asked, (_to.searches, known))


def chat(model: str, provider: str, messages: Sequence[tuple[str, str]]) -> Operation:
    """An answer of a chat model, streamed.

    Args:
        messages: Role and text of each.
    """
    if _to is None:
        return _OFF
    asked = {"gen_ai.input.messages": _messages(messages)} if _to.content else {}
    known = {_OPERATION: "chat", _PROVIDER: provider, _MODEL: model}
    return _Watched(_to, f"chat {model}", known | {"gen_ai.request.stream": True} | asked, (_to.calls, known))


def embeddings(model: str, texts: int) -> Operation:
    """Vectors of passages."""
    if _to is None:
        return _OFF
    known = {_OPERATION: "embeddings", _PROVIDER: _NAME, _MODEL: model}
    return _Watched(_to, f"embeddings {model}", known | {"kb.texts": texts}, (_to.calls, known))


def ingest(base: str) -> Operation:
    """A reading of documents. The current one of its thread, so that what is done meanwhile is a part of it."""
    return _OFF if _to is None else _Watched(_to, "ingest", {_BASE: base}, current=True)


def document(path: str, seconds: float) -> Operation:
    """One document of an ingest that was read within so many seconds; `became` ends it."""
    if _to is None:
        return _OFF
    known = {"kb.document.type": os.path.splitext(path)[1][:10].lower()}  # noqa: PTH122 - no path, maybe
    told = _Watched(_to, "document", known | ({"kb.document.path": path} if _to.content else {}), before=seconds)
    told.begin()
    if seconds:
        told.step("read", seconds)
    return told


def request(method: str, headers: Mapping[str, str]) -> Operation:
    """A request to the server. The current one of its task; `headers` may name the caller's trace."""
    if _to is None:
        return _OFF
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    measured = (_to.requests, {_METHOD: method})
    return _Watched(
        _to, method, {_METHOD: method}, measured, kind=SpanKind.SERVER, parent=extract(headers), current=True
    )


def is_on() -> bool:
    """Whether anybody is told."""
    return _to is not None


class _Watched(Operation):
    """Work that is told.

    Args:
        measured: Takes the seconds, with these attributes.
        before: Seconds ago that it began.
        current: Whether work begun meanwhile in this thread or task is a part of it.
    """

    def __init__(
        self,
        to: _Receiver,
        name: str,
        attributes: dict[str, Any],
        measured: tuple[Histogram, dict[str, Any]] | None = None,
        *,
        kind: SpanKind | None = None,
        parent: Any = None,
        before: float = 0.0,
        current: bool = False,
    ) -> None:
        self._to, self._name, self._attributes, self._measured = to, name, attributes, measured
        self._kind, self._parent, self._current = kind, parent, current
        self._began = time.time_ns() - round(before * 1e9)

    def begin(self) -> None:
        from opentelemetry import context, trace

        kind = self._kind or trace.SpanKind.INTERNAL
        self._span: Span = self._to.tracer.start_span(
            self._name, self._parent, kind, self._attributes, start_time=self._began
        )
        inside = trace.set_span_in_context(self._span, self._parent)
        self._parent = inside
        self._token = context.attach(inside) if self._current else None

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._token is not None:
            from opentelemetry import context

            context.detach(self._token)
        if isinstance(raised[1], Exception):
            self._failed(type(raised[1]).__qualname__)
        self._end()

    def step(self, name: str, seconds: float) -> None:
        now = time.time_ns()
        known = {_OPERATION: "embeddings"} if name in _STEPS else None
        began = now - round(seconds * 1e9)
        span = self._to.tracer.start_span(_STEPS.get(name, name), self._parent, attributes=known, start_time=began)
        span.end(now)

    def found(self, hits: Sequence[Hit], evidence: float) -> None:
        self._span.set_attributes({"kb.retrieval.hits": len(hits), "kb.retrieval.evidence": evidence})
        if self._to.content:
            found = [{"id": hit.id, "score": hit.score} for hit in hits]
            self._span.set_attribute("gen_ai.retrieval.documents", json.dumps(found))

    def answered(self, usage: Usage, cut: bool, text: str) -> None:
        counts = {
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.reused_tokens,
            "gen_ai.response.time_to_first_chunk": usage.first_token_s,
        }
        self._span.set_attributes({name: value for name, value in counts.items() if value is not None})
        self._span.set_attribute("gen_ai.response.finish_reasons", ["length" if cut else "stop"])
        if self._to.content:
            self._span.set_attribute("gen_ai.output.messages", _messages([("assistant", text)]))
        known = self._measured[1] if self._measured else {}
        for kind, count in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
            if count is not None:
                self._to.tokens.record(count, known | {"gen_ai.token.type": kind})
        if usage.first_token_s is not None:
            self._to.firsts.record(usage.first_token_s, known)

    def responded(self, route: str, status: int) -> None:
        answered: dict[str, Any] = {_ROUTE: route, _STATUS: status} if route else {_STATUS: status}
        self._span.update_name(f"{self._name} {route}".rstrip())
        self._span.set_attributes(answered)
        if self._measured:
            self._measured[1].update(answered)
        if status >= 500:
            self._failed(str(status))

    def became(self, status: str, chunks: int) -> None:
        self._span.set_attributes({"kb.document.status": status, "kb.document.chunks": chunks})
        self._end()

    def _failed(self, why: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute(_ERROR, why)
        if self._measured:
            self._measured[1][_ERROR] = why

    def _end(self) -> None:
        now = time.time_ns()
        self._span.end(now)
        if self._measured:
            histogram, known = self._measured
            histogram.record((now - self._began) / 1e9, known, self._parent)


def _messages(messages: Sequence[tuple[str, str]]) -> str:
    told = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in messages]
    return json.dumps(told, ensure_ascii=False)


class _Receiver:
    """Who is told.

    Attributes:
        content: Whether texts are told, too.
    """

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self.content = os.environ.get(_CONTENT, "").lower() == "true"
        self.tracer: Tracer = tracers.get_tracer(_NAME, version(_NAME))
        meter = meters.get_meter(_NAME, version(_NAME))

        def histogram(name: str, unit: str, steps: Sequence[float]) -> Histogram:
            return meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=steps)

        self.calls = histogram("gen_ai.client.operation.duration", "s", _DURATIONS)
        self.tokens = histogram("gen_ai.client.token.usage", "{token}", _COUNTS)
        self.firsts = histogram("gen_ai.client.operation.time_to_first_chunk", "s", _DURATIONS)
        self.searches = histogram("gen_ai.retrieval.duration", "s", _DURATIONS)
        self.requests = histogram("http.server.request.duration", "s", _DURATIONS)


_to: _Receiver | None = None
_asked = False
_lock = threading.Lock()


def start(endpoint: str = "") -> None:
    """Tell a receiver of OTLP over HTTP from now on, if one is named here or by OTEL_EXPORTER_OTLP_ENDPOINT; the
    other variables of OpenTelemetry hold, too. What the program around has set up for itself is used.

    Args:
        endpoint: Such as "http://127.0.0.1:4318".
    """
    global _to, _asked
    if _asked or not (endpoint or os.environ.get(_ENDPOINT)) or os.environ.get(_DISABLED, "").lower() == "true":
        return
    with _lock:
        if _asked:
            return
        _asked = True
        try:
            _to = _Receiver(*_providers(endpoint.rstrip("/")))
        except ImportError:
            _log.warning(_('Telemetry is asked for and not installed: pip install "kb-assistant[telemetry]"'))


def _providers(endpoint: str) -> tuple[TracerProvider, MeterProvider]:
    """Those of the program around, else new ones, which become the program's: other libraries use them, too."""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider as Meters
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider as Tracers
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    known = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", _NAME),
                             "service.version": version(_NAME)})  # fmt: skip

    def options(signal: str) -> dict[str, Any]:
        given = {"endpoint": f"{endpoint}/v1/{signal}"} if endpoint else {}
        return given if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else given | {"timeout": _PATIENCE_S}

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        tracers = Tracers(resource=known)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**options("traces"))))
        trace.set_tracer_provider(tracers)
    if not isinstance(metrics.get_meter_provider(), Meters):
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(**options("metrics")))
        metrics.set_meter_provider(Meters([reader], known))
    return trace.get_tracer_provider(), metrics.get_meter_provider()


@contextmanager
def told_to(tracers: TracerProvider, meters: MeterProvider) -> Iterator[None]:
    """Tell these, which the caller has set up, within the block."""
    global _to
    before, _to = _to, _Receiver(tracers, meters)
    try:
        yield
    finally:
        _to = before
