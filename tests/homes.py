"""Data homes for tests."""

from __future__ import annotations

from pathlib import Path

from kb_assistant.models.catalogue import CATALOGUE


def link_models(models_home: Path, home: Path) -> Path:
    """Make a data home whose models are links to the shared ones."""
    models = home / "models"
    models.mkdir(parents=True)
    for name in CATALOGUE:
        (models / name).symlink_to(models_home / "models" / name, target_is_directory=True)
    return home
