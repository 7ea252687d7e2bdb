"""A server that is killed while it answers and reads a folder: nothing committed is lost, and it goes on."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.processes import Command
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.engine  # the ingest's reader processes


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz").status_code == 200
    return False


def test_a_kill_while_it_answers_and_ingests_loses_nothing(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(30):
        text = "\n\n".join(f"Note {number} has line {line} on valve {number}." for line in range(20))
        (docs / f"note-{number:02}.txt").write_text(text)
    command = Command(tmp_path / "home", tmp_path / "scratch", delay=0.05)
    assert command.run("ingest", docs / "note-00.txt").returncode == 0
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    server = command.start("serve", "--port", port, "--model", "extract")
    until(lambda: _answers(url) or server.poll() is not None)
    size = command.log_size
    assert httpx.post(f"{url}/api/v1/bases/default/ingest", json={"folder": str(docs)}).status_code == 202
    asked = {"model": "kb/default", "messages": [{"role": "user", "content": "valve 0"}], "stream": True}

    def ask() -> None:
        with suppress(httpx.TransportError):
            httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=PATIENCE)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: command.has_gone_on(server, size + 4000))
    command.kill(server)
    thread.join()
    verdict = command.run("verify", "--json")
    assert verdict.returncode == 0, verdict.stdout
    assert json.loads(verdict.stdout)["faults"] == []
    known = {row["path"] for row in json.loads(command.run("sources", "--json").stdout)}
    assert str(docs / "note-00.txt") in known
    again = json.loads(command.run("ingest", docs, "--json").stdout)
    assert again["failed"] == 0
    assert again["unchanged"] >= len(known) - 1
    assert len(json.loads(command.run("sources", "--json").stdout)) == 30
