"""Telemetry: nothing while it is off; whole traces with the conventions' names; texts only when asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from kb_assistant import KnowledgeBase, Settings, telemetry
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.processes import Command
from tests.serve.running import ModelledWorkspace, running
from tests.waiting import until

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
QUESTION = "When does the boat sail?"


class Told:
    """What was told to a provider."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        return next(span for span in self.spans if span.name == name)

    def children(self, parent: ReadableSpan) -> list[str]:
        inside = [one for one in self.spans if one.parent and one.parent.span_id == parent.context.span_id]
        return [one.name for one in sorted(inside, key=lambda one: one.start_time or 0)]

    def measured(self) -> dict[str, list[Any]]:
        found = self._reader.get_metrics_data()
        scopes = found.resource_metrics[0].scope_metrics if found else []
        return {one.name: list(one.data.data_points) for scope in scopes for one in scope.metrics}

    def text(self) -> str:
        return "".join(span.to_json() for span in self.spans)


@contextmanager
def told() -> Iterator[Told]:
    found = Told()
    with telemetry.told_to(found.tracers, found.meters):
        yield found


def _workspace(home: Path, model: ScriptedChat) -> ModelledWorkspace:
    settings = Settings(home=home, refuse_below=0.0, answer_reader="off", readers=1)
    return ModelledWorkspace(settings, HashEmbeddings(), model)


def test_off_it_costs_nothing() -> None:
    assert not telemetry.is_on()
    best = float("inf")
    for _ in range(5):
        began = time.thread_time()
        for _ in range(10_000):
            with telemetry.retrieval("default", 5, QUESTION) as watched:
                watched.step("dense", 0.1)
        best = min(best, time.thread_time() - began)
    assert best / 10_000 < 2e-6


def test_a_request_is_one_trace(tmp_path: Path) -> None:
    model = ScriptedChat(pieces=["at ", "dawn [1]"], used=(120, 7))
    workspace = _workspace(tmp_path, model)
    workspace.base("default").add(["The boat sails at dawn."])
    asked = {"model": "kb/default", "messages": [{"role": "user", "content": QUESTION}]}
    trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with told() as found, running(workspace) as server:
        url = f"{server.url}/v1/chat/completions"
        headers = {"traceparent": f"00-{trace}-{caller}-01"}
        assert httpx.post(url, json=asked, headers=headers).status_code == 200
        assert httpx.post(url, json=asked | {"model": "kb/none"}).status_code == 404
        until(lambda: sum(span.name == "POST /v1/chat/completions" for span in found.spans) == 2)
    request = found.span("POST /v1/chat/completions")
    assert request.parent is not None
    assert (format(request.context.trace_id, "032x"), format(request.parent.span_id, "016x")) == (trace, caller)
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
    }
    assert found.children(request) == ["retrieval", "chat scripted"]
    search = found.span("retrieval")
    assert found.children(search) == ["rewrite", "embeddings", "dense", "keyword", "fuse", "passages"]
    assert {"gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": "default"}.items() <= dict(
        search.attributes or {}
    ).items()
    chat: Any = dict(found.span("chat scripted").attributes or {})
    assert chat["gen_ai.operation.name"] == "chat"
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (120, 7)
    assert chat["gen_ai.response.time_to_first_chunk"] > 0
    assert chat["gen_ai.response.finish_reasons"] == ("stop",)
    assert "dawn" not in found.text()
    assert "boat" not in found.text()
    measured = found.measured()
    assert {one.attributes["http.response.status_code"] for one in measured["http.server.request.duration"]} == {
        200,
        404,
    }
    assert {one.attributes["gen_ai.token.type"]: one.sum for one in measured["gen_ai.client.token.usage"]} == {
        "input": 120,
        "output": 7,
    }
    assert measured["gen_ai.retrieval.duration"][0].count == 1
    assert measured["gen_ai.client.operation.duration"][-1].sum > 0
    assert measured["gen_ai.client.operation.time_to_first_chunk"][0].count == 1


def test_texts_are_told_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONTENT, "true")
    with (
        KnowledgeBase(
            Settings(home=tmp_path, refuse_below=0.0, answer_reader="off"),
            embedder=HashEmbeddings(),  # type: ignore[arg-type]
            chat_model=ScriptedChat(pieces=["at dawn [1]"]),
        ) as kb,
        told() as found,
    ):
        kb.add(["The boat sails at dawn."])
        assert kb.ask(QUESTION).answer
    search, chat = found.span("retrieval").attributes or {}, found.span("chat scripted").attributes or {}
    assert search["gen_ai.retrieval.query.text"] == QUESTION
    assert '"score"' in str(search["gen_ai.retrieval.documents"])
    assert "The boat sails at dawn." in str(chat["gen_ai.input.messages"])
    assert "at dawn [1]" in str(chat["gen_ai.output.messages"])


def test_an_answer_that_fails_or_is_left_is_told_so(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path, ScriptedChat(pieces=["at ", OSError("no"), "dawn"]))
    kb = workspace.base("default")
    kb.add(["The boat sails at dawn."])
    with told() as found:
        with pytest.raises(Exception, match="The chat model failed"):
            kb.ask(QUESTION).answer  # noqa: B018
        assert (found.span("chat scripted").attributes or {})["error.type"] == "OSError"
        reply = kb.ask(QUESTION)
        next(iter(reply))
        reply.stop()
        assert reply.answer == "at"
    stopped = [span for span in found.spans if span.name == "chat scripted"][1]
    assert "error.type" not in (stopped.attributes or {})


def test_an_ingest_is_told_document_by_document(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("boat.md", "tide.md"):
        (docs / name).write_text(f"# {name}\n\nThe {name} sails at dawn.\n")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    kb = _workspace(tmp_path / "home", ScriptedChat(pieces=[])).base("default")
    with told() as found:
        kb.ingest(docs)
    run = found.span("ingest")
    assert sorted(found.children(run)) == ["document", "document", "document", "embeddings hash"]
    documents = [span for span in found.spans if span.name == "document"]
    kinds = {dict(one.attributes or {})["kb.document.status"]: found.children(one) for one in documents}
    assert kinds == {"added": ["read", "split", "commit"], "failed": ["read", "commit"]}
    assert "boat" not in found.text()


class _Collector(BaseHTTPRequestHandler):
    """Keeps what comes in, as OTLP's own messages."""

    received: list[Any]

    def do_POST(self) -> None:
        kind = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}[self.path]
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        self.received.append(kind.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    handler: Any = type("Collector", (_Collector,), {"received": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", handler.received
        server.shutdown()


@pytest.mark.parametrize("asked_by", ["setting", "variable"])
def test_a_receiver_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_by: str) -> None:
    (tmp_path / "boat.md").write_text("The boat sails at dawn.\n")
    command = Command(tmp_path / "home", tmp_path / "scratch")
    with collector() as (address, received):
        monkeypatch.setenv("KB_TELEMETRY" if asked_by == "setting" else "OTEL_EXPORTER_OTLP_ENDPOINT", address)
        done = command.run("ingest", tmp_path / "boat.md")
        assert (done.returncode, done.stderr) == (0, "")
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        count = len(received)
        assert command.run("ingest", tmp_path / "boat.md").returncode == 0
        assert len(received) == count
    traces = [message for message in received if isinstance(message, ExportTraceServiceRequest)]
    resources = [one for message in traces for one in message.resource_spans]
    spans = [span for one in resources for scope in one.scope_spans for span in scope.spans]
    assert {"ingest", "document", "read", "split", "commit"} <= {span.name for span in spans}
    assert any(isinstance(message, ExportMetricsServiceRequest) for message in received)
    resource = {one.key: one.value.string_value for one in resources[0].resource.attributes}
    assert resource["service.name"] == "kb-assistant"


def test_a_receiver_that_is_away_hinders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "boat.md").write_text("The boat sails at dawn.\n")
    monkeypatch.setenv("KB_TELEMETRY", "http://127.0.0.1:9")
    done = Command(tmp_path / "home", tmp_path / "scratch").run("ingest", tmp_path / "boat.md", "--json")
    assert done.returncode == 0
    assert '"added": 1' in done.stdout
    assert "Traceback" not in done.stderr
