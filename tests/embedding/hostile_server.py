"""A server that speaks the OpenAI API as it is told to: rightly, slowly, wrongly, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


@dataclass
class Hostile:
    """A server that runs.

    Attributes:
        answer: Gives the answer to a path and a request's body; a callable in place of the body's bytes writes
            them itself.
        seen: Paths, headers and bodies of all requests so far.
    """

    url: str = ""
    answer: Callable[[str, Any], Any] = lambda _path, _body: (200, {}, b"{}")
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def sizes(self) -> list[int]:
        return [len(body["input"]) for _path, _headers, body in self.seen]


def vectors(rows: list[list[float]]) -> Answer:
    """OpenAI's answer with these vectors."""
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    return 200, {}, json.dumps({"object": "list", "data": data}).encode()


def error(status: int, message: str = "no", **headers: str) -> Answer:
    return status, headers, json.dumps({"error": {"message": message}}).encode()


@contextmanager
def hostile(answer: Callable[[str, Any], Any]) -> Iterator[Hostile]:
    """A server on a free port that gives these answers."""
    made = Hostile(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            made.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, headers, data = made.answer(self.path, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if callable(data):
                self.send_header("connection", "close")
                self.end_headers()
                data(self.wfile)
                self.close_connection = True
                return
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients that go away are no matter here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
