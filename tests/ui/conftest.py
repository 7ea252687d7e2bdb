"""A real browser, the system's Chromium, with a page's server to point it at; and pages without a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real import RememberedEmbeddings
from tests.ui.browser import ARGUMENTS, Server, Visits, pictured, sample_copy, start_server
from tests.waiting import PATIENCE
from ui.options import Options, options, set_options

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

    from tests.ui.pages import Table


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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser. Its event loop runs as long as it is open, and other tests of this process want their own."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.fail("These tests drive the system's Chromium: install it (Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


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
    import streamlit
    from streamlit.testing.v1 import AppTest

    from tests.ui.pages import APP

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


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """In place of the browser's."""
    from tests.ui.pages import Table

    return Table(monkeypatch)
