"""After the models are pulled nothing needs the network, and nothing tries to reach it.

The commands run in a process of their own that notes and refuses every connection to another machine; where the
system allows it, also in a network namespace that has no network at all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.namespaces import namespace
from tests.samples import DATA, SAMPLE_DOCS
from tests.shell import KB
from tests.waiting import PATIENCE

WATCH = """
import os, sys

def _watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host and not host.startswith("127.") and host not in ("::1", "localhost"):
        with open(os.environ["NETWORK_LOG"], "a") as log:
            print(event, host, file=log)
        raise OSError("this test has no network")

sys.addaudithook(_watch)
"""

RUN = """
import json, sys
from kb_assistant.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["kb", *command]
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    print("\\0", code, sep="", end="\\0", flush=True)
"""

FOUNDER = "Who founded the Corran Lighthouse Cooperative?"


@dataclass(frozen=True, slots=True)
class Offline:
    """Runs programs without a network; `log` gets a line for every attempt to reach one."""

    home: Path
    log: Path
    folder: Path

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("KB_", "HF_"))}
        return subprocess.run(
            [*namespace(), *map(str, command)],
            env=clean
            | {
                "KB_HOME": str(self.home),
                "NETWORK_LOG": str(self.log),
                "PYTHONPATH": str(self.folder),
                "HF_HOME": str(self.folder / "empty-hub-cache"),
            },
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    @property
    def attempts(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def offline(home: Path, tmp_path: Path) -> Offline:
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WATCH)
    return Offline(home, tmp_path / "network.log", folder)


def test_the_watch_sees_and_refuses_connections(offline: Offline) -> None:
    """Otherwise the tests below would prove nothing."""
    for code in (
        "import socket; socket.create_connection(('192.0.2.1', 80), 5)",
        "import urllib.request; urllib.request.urlopen('http://example.com', timeout=5)",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import socket;"
        ' socket.socket().connect(("192.0.2.2", 80))\'], check=True)',
    ):
        done = offline.run(sys.executable, "-c", code)
        assert done.returncode == 1
        assert "this test has no network" in done.stderr
    assert [line.split()[-1] for line in offline.attempts] == ["192.0.2.1", "example.com", "192.0.2.2"]
    done = offline.run(sys.executable, "-c", "import socket; s = socket.create_server(('127.0.0.1', 0));"
                       "socket.create_connection(s.getsockname())")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(offline.attempts) == 3, "a port of this machine is no network"


def quiet(stderr: str) -> bool:
    """Nothing but the progress of an ingest."""
    return all(" files, " in line for line in stderr.splitlines())


def test_ingest_search_and_answers_work_without_a_network(offline: Offline, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "zh").mkdir(parents=True)
    whole = (SAMPLE_DOCS / "en" / "lighthouse-cooperative.md").read_text(encoding="utf-8")
    (docs / "lighthouse.md").write_text(whole.split("## The hostel")[0], encoding="utf-8")
    whole = (SAMPLE_DOCS / "zh" / "湿地观测站.md").read_text(encoding="utf-8")
    (docs / "zh" / "湿地观测站.md").write_text(whole.split("## 水")[0], encoding="utf-8")
    shutil.copy(DATA / "handbook.html", docs)
    commands = [
        ["ingest", str(docs), "--json"],
        ["ask", FOUNDER, "--json", "-k", "1", "-m", "extract"],
        ["ask", FOUNDER, "--json", "-k", "1", "-m", "smollm2-135m-instruct"],
    ]
    done = offline.run(sys.executable, "-c", RUN, json.dumps(commands))
    assert offline.attempts == []
    assert done.returncode == 0, done.stderr
    assert quiet(done.stderr), done.stderr
    outputs = done.stdout.split("\0")
    assert outputs[1::2] == ["0"] * len(commands), done.stdout
    ingested, quoted, answered = map(json.loads, outputs[:-1:2])
    assert (ingested["added"], ingested["failed"]) == (3, 0)
    assert "Alasdair Munn" in quoted["hits"][0]["text"], "the search works too"
    assert "founded by Alasdair Munn in 1962" in quoted["answer"]
    assert "Munn" in answered["answer"]
    assert answered["usage"]["prompt_tokens"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_installed_command_over_all_sample_documents_without_a_network(
    offline: Offline, tmp_path: Path
) -> None:
    docs = shutil.copytree(SAMPLE_DOCS, tmp_path / "docs")
    commands: Sequence[tuple[str | Path, ...]] = (
        ("ingest", docs),
        ("search", FOUNDER),
        ("ask", FOUNDER, "-m", "extract"),
        ("ask", FOUNDER),
        ("doctor",),
        ("models", "list"),
        ("verify",),
    )
    for command in commands:
        done = offline.run(KB, *command)
        assert done.returncode == 0, done.stderr
        assert quiet(done.stderr), done.stderr
    assert offline.attempts == []
