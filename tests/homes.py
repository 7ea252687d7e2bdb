"""Data homes and folders of models for tests."""

from __future__ import annotations

import json
from pathlib import Path

from kb_assistant.models.catalogue import CATALOGUE


def link_models(models_home: Path, home: Path) -> Path:
    """Make a data home whose models are links to the shared ones."""
    models = home / "models"
    models.mkdir(parents=True)
    for name in CATALOGUE:
        (models / name).symlink_to(models_home / "models" / name, target_is_directory=True)
    return home


def embedder_folder(folder: Path, **config: object) -> Path:
    """The least that counts as an embedder on disk; its weights are no weights."""
    folder.mkdir(parents=True)
    settings = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8, **config}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder
