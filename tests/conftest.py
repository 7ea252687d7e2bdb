"""Fixtures for all tests: a home with the two models of the catalogue, pulled once a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kb_assistant.models import CATALOGUE, ModelHome


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
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    for name in CATALOGUE:
        (models / name).symlink_to(models_home / "models" / name, target_is_directory=True)
    return models.parent
