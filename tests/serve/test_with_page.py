"""`kb serve --page`: API, MCP and the page from one process, over the home that is asked for, with real models."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from kb_assistant import KnowledgeBase
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(models_home: Path, tmp_path: Path) -> Iterator[str]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models_home / "models")
    (tmp_path / "pump.md").write_text("# Pump\n\nThe pump is serviced by Marta Keel every 400 hours.\n", "utf-8")
    with KnowledgeBase.open("notes", home=home, model="extract") as base:
        assert base.ingest(tmp_path / "pump.md").added == 1
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    elsewhere = {**os.environ, "HOME": str(tmp_path / "nobody"), "XDG_DATA_HOME": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "kb_assistant", "serve", "--page", "--home", str(home), "--kb", "notes"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--model", "extract"],
        cwd=ROOT,
        env=elsewhere,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        return False

    try:
        until(lambda: answers() or server.poll() is not None)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
    assert not (tmp_path / "nowhere").exists()


def test_page_and_api_answer_from_the_same_home(url: str) -> None:
    assert "kb/notes" in [row["id"] for row in httpx.get(f"{url}/v1/models").json()["data"]]
    asked = {"model": "kb/notes", "messages": [{"role": "user", "content": "Who services the pump?"}]}
    said = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=PATIENCE).json()
    assert "Marta Keel" in said["choices"][0]["message"]["content"]
    page = httpx.get(url, follow_redirects=True)
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
