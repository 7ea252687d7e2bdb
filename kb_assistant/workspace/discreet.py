"""What is told of sources, reports and jobs to somebody who may not read every source: no other is named; and to
somebody who isn't told of this machine's folders: sources have names for their paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kb_assistant.messages import without_folders
from kb_assistant.retrieval.filters import Filter
from kb_assistant.store import DOCUMENT_PREFIX, Source
from kb_assistant.store.readers import Sighted
from kb_assistant.types import FileResult, Hit
from kb_assistant.workspace.jobs import Job, Reading

Naming = Callable[[str], str]
"""How a source's path is told; `str` for as it is."""


@dataclass(frozen=True, slots=True)
class Named:
    """A condition on sources as they are named: nobody finds out by conditions where they lie."""

    filter: Filter
    naming: Naming

    def holds(self, source: Source) -> bool:
        name = self.naming(source.path)
        # A place below the folders that are known is written as below any folder: "*/plans/*".
        return self.filter.holds(replace(source, path=name if name.startswith(DOCUMENT_PREFIX) else f"/{name}"))


def hit(found: Hit, naming: Naming) -> Hit:
    """A passage whose sources are named so."""
    return replace(
        found,
        source=naming(found.source),
        also_in=tuple(map(naming, found.also_in)),
        near_in=tuple(map(naming, found.near_in)),
    )


def named_source(found: Source, naming: Naming) -> Source:
    """A source that is named so."""
    return replace(found, path=naming(found.path), reason=without_folders(found.reason))


def named(value: Any, naming: Naming) -> Any:
    """A report, a job or the like in its JSON form, with names for the paths in it."""
    match value:
        case dict():
            return {key: named(one, naming) for key, one in value.items()}
        case list() | tuple():
            return [named(one, naming) for one in value]
        case str():
            return naming(value) if value.startswith(("/", DOCUMENT_PREFIX)) else without_folders(value)
    return value


def source(found: Source, sees: Sighted) -> Source:
    """A source that may be read; its reason may name one of which it is a copy."""
    return found if sees.is_told(found.reason) else replace(found, reason="")


def row(found: FileResult, sees: Sighted) -> FileResult:
    """A row of a report; it isn't called a copy of a source that may not be read."""
    if sees.is_told(found.reason):
        return found
    return replace(found, reason="", status="added" if found.status == "duplicate" else found.status)


def job(found: Job, sees: Sighted) -> Job:
    """A job: its paths, its progress, its report and its error."""
    told = all(map(sees.is_told, (found.error, found.hint)))
    return replace(
        found,
        paths=[path for path in found.paths if sees(path)],
        # Its counts would tell how much there is that isn't seen.
        note={"path": path} if (path := found.note.get("path")) and sees(str(path)) else {},
        result=_report(found.result, sees) if "files" in found.result else {},
        error=found.error if told else "",
        hint=found.hint if told else "",
    )


def reading(found: Reading, sees: Sighted) -> Reading:
    """How far the documents are that are being read now, without counts of what isn't seen."""
    return Reading(share=found.share, path=found.path if sees(found.path) else "")


def _report(result: Mapping[str, Any], sees: Sighted) -> dict[str, Any]:
    """A report in its JSON form, with what can be counted of the rows that may be seen."""
    rows = [row(FileResult(**one), sees) for one in result["files"] if sees(one["path"])]
    kept = {name: result[name] for name in ("seconds", "stopped", "dry_run") if name in result}
    counts = {name: sum(one.status == name for one in rows) for name in _STATUSES}
    missing = {state: [path for path in paths if sees(path)] for state, paths in result.get("missing", {}).items()}
    chunks = sum(one.chunks for one in rows if one.status != "removed")
    files = [one.to_json() for one in rows]
    return counts | {"chunks": chunks, "skipped": {}, "missing": missing, "files": files} | kept


_STATUSES = ("added", "updated", "unchanged", "duplicate", "removed", "failed")
