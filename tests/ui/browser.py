"""The system's Chromium, and a page's server to point it at."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.homes import link_models
from tests.samples import ROOT, SAMPLE_DOCS
from tests.waiting import PATIENCE

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PATIENCE_MS = PATIENCE * 1000


@dataclass(slots=True)
class Server:
    """A running `kb ui`."""

    port: int
    home: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def kill(self) -> None:
        """As a crash or a power cut would."""
        self.process.kill()
        self.process.wait(PATIENCE)


def start_server(home: Path, *arguments: str, **environment: str) -> Server:
    """`kb ui` on a free port, ready to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = home.parent / f"server-{port}.log"
    command = [
        sys.executable, "-m", "tests.ui.serve", "ui", "--no-browser", "--port", str(port), "--home", str(home),
        *arguments,
    ]  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KB_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=clean | environment, stdout=output, stderr=subprocess.STDOUT
        )
    server = Server(port, home, process, log)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(
                f"{server.url}/login" if "--login" in arguments else f"{server.url}/_stcore/health"
            )
            return server
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def sample_copy(models_home: Path, sample_home: Path, folder: Path) -> Path:
    """A home of its own that knows the sample documents."""
    home = link_models(models_home, folder / "home")
    shutil.copytree(sample_home / "kbs", home / "kbs")
    return home


def pictured(models_home: Path, folder: Path) -> Path:
    """The same with documents and home in a folder that pictures may show."""
    docs, home = folder / "docs", link_models(models_home, folder / "home")
    shutil.copytree(SAMPLE_DOCS, docs)
    command = [sys.executable, "-m", "tests.ui.serve", "ingest", str(docs), "--home", str(home)]
    subprocess.run(command, cwd=ROOT, check=True)
    return home


@dataclass
class Visits:
    """Opens pages, each a browser of its own as far as cookies go, and notes what must not happen."""

    browser: Any
    trouble: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def open(
        self, url: str, *, width: int = 1280, height: int = 800, scheme: str = "light", locale: str = "en-US"
    ) -> Any:
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale, accept_downloads=True
        )
        context.set_default_timeout(PATIENCE_MS)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.contexts.append(context)
        page = context.new_page()
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.trouble.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (self.trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(url)
        return page

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.trouble.append(f"request: {request.url}")

    def _console(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self.trouble.append(message.text)
