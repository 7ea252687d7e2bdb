"""A real browser, the system's Chromium, with a page's server to point it at; and pages without a browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from tests.homes import link_models
from tests.real import RememberedEmbeddings
from tests.samples import ROOT, SAMPLE_DOCS
from tests.ui.pages import APP
from tests.waiting import PATIENCE
from ui.options import Options, options, set_options

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


@pytest.fixture(scope="session")
def server(models_home: Path, sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Answers with quotes from the sample documents. KB_PICTURES names a new folder, where they are to lie."""
    place = os.environ.get("KB_PICTURES")
    if place:
        home = pictured(models_home, Path(place))
    else:
        home = sample_copy(models_home, sample_home, tmp_path_factory.mktemp("ui"))
    running = start_server(home, "--model", "extract")
    yield running
    running.stop()
    if place:
        shutil.rmtree(place)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; it is closed with the session."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.fail("These tests drive the system's Chromium: install it (Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


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


@pytest.fixture
def visits(chromium: Any) -> Iterator[Visits]:
    """Whatever a test does, nothing is loaded from elsewhere and no script of a document runs."""
    opened = Visits(chromium)
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.trouble == []


@pytest.fixture
def visit(visits: Visits, server: Server) -> Callable[..., Any]:
    """Opens the page of `server`."""

    def go(path: str = "/", **how: Any) -> Any:
        return visits.open(f"{server.url}{path}", **how)

    return go


@pytest.fixture
def start(home: Path, remembering: RememberedEmbeddings) -> Iterator[Callable[..., AppTest]]:
    del remembering  # it is in place from here on
    streamlit.cache_resource.clear()
    before = options()
    set_options(Options({"home": home, "model": "extract"}))

    def run(**params: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=PATIENCE)
        for name, value in params.items():
            app.query_params[name] = value
        return app.run()

    yield run
    set_options(before)
    streamlit.cache_resource.clear()


@pytest.fixture
def filled(start: Callable[..., AppTest], home: Path, sample_home: Path) -> Callable[..., AppTest]:
    """With a copy of the sample documents' knowledge base."""
    shutil.copytree(sample_home / "kbs", home / "kbs")
    return start
