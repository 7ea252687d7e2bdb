"""Why files couldn't be read: grouped by cause, each with the command that mends it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.messages import Message

MOST_FILES = 5
"""Most files of one cause that are listed, and named in its command."""

_SETTING = re.compile(r"\b(?:file|archive|read)_(?:megabytes|members|seconds)\b")


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for which files failed.

    Attributes:
        reason: What is wrong and what to do, of the first of them.
        paths: The files.
        kb, home: The options --kb and --home that were given; the command repeats them.
    """

    reason: str
    paths: tuple[str, ...]
    kb: str | None = None
    home: Path | None = None

    @property
    def command(self) -> str:
        """The command that reads them once the cause is mended; before it one that mends it, if there is one."""
        from kb_assistant.store.records import DOCUMENT_PREFIX

        home = "" if self.home is None else f" --home {shlex.quote(str(self.home))}"
        options = home if self.kb is None else f" --kb {shlex.quote(self.kb)}{home}"
        password = " --password -" if "--password" in self.reason else ""
        name = self.paths[0].removeprefix(DOCUMENT_PREFIX)
        if name != self.paths[0]:
            read = f"kb ingest - --name {shlex.quote(name)}{password}{options} < FILE"
        else:
            read = f"kb ingest {self._files()}{password}{options}"
        setting = None if password else _SETTING.search(self.reason)
        return f"kb settings {setting[0]} NUMBER{home} && {read}" if setting else read

    def _files(self) -> str:
        """What `kb ingest` is given: the files, archives in the stead of what is in them; FOLDER for many."""
        files: dict[str, None] = {}
        for path in self.paths:
            files[next((str(one) for one in Path(path).parents if _is_file(one)), path)] = None
            if len(files) > MOST_FILES:
                return "FOLDER"
        return shlex.join(files)

    def to_json(self) -> dict[str, Any]:
        return {"reason": str(self.reason), "files": list(self.paths), "command": self.command}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no permission to look
        return False


def causes(failed: Iterable[tuple[str, str]], kb: str | None = None, home: Path | None = None) -> list[Cause]:
    """The causes of failures, the most frequent first.

    Args:
        failed: Path and reason of each file. Reasons with one template are one cause, whatever their values.
        kb, home: The options --kb and --home that were given.
    """
    found: dict[object, tuple[str, list[str]]] = {}
    for path, reason in failed:
        found.setdefault(_key(reason), (reason, []))[1].append(path)
    every = [Cause(reason, tuple(paths), kb, home) for reason, paths in found.values()]
    return sorted(every, key=lambda cause: -len(cause.paths))


def _key(reason: str) -> object:
    if not isinstance(reason, Message):
        return reason
    return tuple(map(_key, reason.values)) if isinstance(reason.values, tuple) else reason.template
