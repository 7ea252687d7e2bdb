"""Fixtures for all tests: a home with the two models of the catalogue, pulled once a machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.models.home import CATALOGUE, ModelHome
from kb_assistant.settings import Settings
from tests.real import RememberedEmbeddings

settings.register_profile("untimed", deadline=None)  # the first example may load a dictionary
settings.load_profile("untimed")

SAMPLE_DOCS = Path(__file__).resolve().parents[1] / "sample_docs"


@pytest.fixture(scope="session")
def models_home() -> Path:
    """A data home whose models are really downloaded. Shared by all sessions: don't write into it."""
    folder = Path(os.environ.get("KB_TEST_HOME") or Path.home() / ".cache" / "kb-assistant-tests")
    for name in CATALOGUE:
        ModelHome(folder / "models").pull(name, say=print)
    return folder


@pytest.fixture
def home(models_home: Path, tmp_path: Path) -> Path:
    """A fresh data home with both models, each a link to the shared one."""
    return link_models(models_home, tmp_path / "home")


def link_models(models_home: Path, home: Path) -> Path:
    """Make a data home whose models are links to the shared ones."""
    models = home / "models"
    models.mkdir(parents=True)
    for name in CATALOGUE:
        (models / name).symlink_to(models_home / "models" / name, target_is_directory=True)
    return home


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
    return home


@pytest.fixture(scope="session")
def sample_kb(sample_home: Path, real_embedder: RememberedEmbeddings) -> Iterator[KnowledgeBase]:
    """The knowledge base of `sample_home`, open, answering with quotes. For reading only."""
    with KnowledgeBase(Settings(home=sample_home, model="extract"), embedder=real_embedder) as base:
        yield base


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch, real_embedder: RememberedEmbeddings) -> RememberedEmbeddings:
    """`kb` run in this process uses `real_embedder` instead of loading the same model again."""
    monkeypatch.setattr("kb_assistant.embedding.local.LocalEmbeddings", lambda *_: real_embedder)
    return real_embedder
