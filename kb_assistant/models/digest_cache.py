"""Digests of models' files, kept on disk, so that gigabytes aren't read again to check a fingerprint."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from kb_assistant.errors import StoreError
from kb_assistant.model_folder import deciding_digest, weights_digest
from kb_assistant.small_file import write_whole


class DigestCache:
    """File digests cached by path, size and modification time, so that gigabytes are read once.

    Losing the cache only costs time: it is written if possible and ignored if damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def weights_digest(self, path: Path) -> str:
        """`weights_digest(path)`, reading only files changed since the last reading."""
        known = self._load()
        fresh: dict[str, list[Any]] = {}

        def of_file(file: Path) -> str:
            state = file.stat()
            key = str(file.resolve())
            match known.get(key):
                case [state.st_size, state.st_mtime_ns, str(digest)]:
                    return digest
            digest = deciding_digest(file)
            fresh[key] = [state.st_size, state.st_mtime_ns, digest]
            return digest

        whole = weights_digest(path, of_file)
        if fresh:
            with suppress(StoreError):
                write_whole(self._path, json.dumps(known | fresh, ensure_ascii=False, indent=2))
        return whole

    def _load(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
