"""Tells of each new source whether another holds the same content: a copy, or where it was before."""

from __future__ import annotations

from ingest.plan.known import Known
from ingest.plan.result import Plan
from kb_assistant.messages import _
from kb_assistant.types import Status


def tell_origins(plan: Plan, known: Known) -> None:
    """Set the status of each source to read, now that the other sources with its content are known."""
    fresh: dict[str, str] = {}
    for path, task in [*plan.tasks.items()]:
        if task.status != "updated":
            task.status, task.reason = _origin(plan, known, task.digest, fresh)
        fresh.setdefault(task.digest, path)
    for archive in plan.archives.values():
        if archive.status == "added":
            archive.status, origin = _origin(plan, known, archive.source.digest, fresh)
            archive.reason = "; ".join(filter(None, [archive.reason, origin]))
        fresh.setdefault(archive.source.digest, archive.source.path)


def _origin(plan: Plan, known: Known, digest: str, fresh: dict[str, str]) -> tuple[Status, str]:
    """Whether a new source is a copy of another, or a moved one. `fresh` remembers one source for each
    content, so that many copies are compared once."""
    if digest in fresh:
        return "duplicate", _("same content as {path}", path=fresh[digest])
    holders = known.holders(digest)
    for path in holders:
        if path not in plan.remove and _digest_after(plan, path, digest) == digest:
            fresh[digest] = path
            return "duplicate", _("same content as {path}", path=path)
    gone = [path for path in holders if path in plan.remove]
    return "added", _("moved from {path}", path=gone[0]) if gone else ""


def _digest_after(plan: Plan, path: str, digest: str) -> str:
    """The digest after this ingest of a known source whose digest is now `digest`."""
    task, archive = plan.tasks.get(path), plan.archives.get(path)
    return task.digest if task else archive.source.digest if archive else digest
