"""Why files couldn't be read: grouped by cause, each with the command that mends it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kb_assistant.messages import Message
from kb_assistant.store.records import DOCUMENT_PREFIX

MOST_FILES = 5
"""Most files of one cause that are listed, and named in its command."""

_SETTING = re.compile(r"\b(?:file|archive|read)_(?:megabytes|members|seconds)\b")


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for which files failed.

    Attributes:
        reason: What is wrong and what to do, of the first of them.
        paths: The files.
    """

    reason: str
    paths: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that reads them once the cause is mended; before it one that mends it, if there is one."""
        name = self.paths[0].removeprefix(DOCUMENT_PREFIX)
        if name != self.paths[0]:
            read = f"kb ingest - --name {shlex.quote(name)} < FILE"
        elif len(self.paths) <= MOST_FILES:
            read = f"kb ingest {shlex.join(self.paths)}"
        else:
            read = "kb ingest FOLDER"
        if "--password" in self.reason:
            return f"{read} --password -"
        if setting := _SETTING.search(self.reason):
            return f"kb settings {setting[0]} NUMBER && {read}"
        return read

    def to_json(self) -> dict[str, Any]:
        return {"reason": str(self.reason), "files": list(self.paths), "command": self.command}


def causes(failed: Iterable[tuple[str, str]]) -> list[Cause]:
    """The causes of failures, the most frequent first.

    Args:
        failed: Path and reason of each file. Reasons with one template are one cause, whatever their values.
    """
    found: dict[object, tuple[str, list[str]]] = {}
    for path, reason in failed:
        found.setdefault(_key(reason), (reason, []))[1].append(path)
    every = [Cause(reason, tuple(paths)) for reason, paths in found.values()]
    return sorted(every, key=lambda cause: -len(cause.paths))


def _key(reason: str) -> object:
    if not isinstance(reason, Message):
        return reason
    return tuple(map(_key, reason.values)) if isinstance(reason.values, tuple) else reason.template
