"""An ingest as an order to workers on other machines: its plan as JSON values, and back."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ingest.object_store import Found
from ingest.plan import Plan, Task
from ingest.plan.moves import Move
from ingest.plan.result import Archive
from kb_assistant.store import Source
from kb_assistant.store.work import WorkFile, WorkItem, WorkOrder
from kb_assistant.types import FileResult

OBJECT = "object"
"""The key of a task with the facts of an object; other tasks are files and members of archives."""


def order_of(
    paths: Sequence[str], recipe: str, plan: Plan, objects: Sequence[tuple[Found, str]] = ()
) -> WorkOrder:
    """The order for what a plan leaves to be read.

    Args:
        objects: Objects to fetch, each with its status.
    """
    files = [WorkFile(path, task.digest, task.size, _task(task)) for path, task in plan.tasks.items()]
    files += [
        WorkFile(one.source, one.version, one.size, {OBJECT: _values(one), "status": status})
        for one, status in objects
    ]
    rest = {
        "moved": {path: [move.to, move.reason, move.same] for path, move in plan.moved.items()},
        "archives": {
            path: {"source": _values(one.source), "status": one.status, "reason": one.reason}
            for path, one in plan.archives.items()
        },
    }
    return WorkOrder(paths, recipe, platform.node() or "?", files, rest)


def task_of(item: WorkItem) -> Task:
    """The task of an item that is no object."""
    task = item.task
    places = tuple((int(number), str(name)) for number, name in task["places"])
    return Task(task["status"], task["reason"], item.digest, item.size, task["file"], places)


def object_of(item: WorkItem) -> tuple[Found, str] | None:
    """The object of an item, with its status; None if it is a file."""
    facts = item.task.get(OBJECT)
    return (Found(**facts), item.task["status"]) if facts else None


def rest_of(item: WorkItem, troubled: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[Plan, list[str]]:
    """The plan of what is left after the last file; and the sources of which OCR left pages.

    Args:
        troubled: Outcomes of the ingest's files that failed or are to be read again, by path.
    """
    plan = Plan()
    for path, (to, reason, same) in item.task["moved"].items():
        plan.moved[path], plan.remove[path] = Move(to, reason, same), reason
    for path, one in item.task["archives"].items():
        plan.archives[path] = Archive(Source(**one["source"]), one["status"], one["reason"])
    plan.rows = {path: row_of(path, one) for path, one in troubled if one["status"] == "failed"}
    return plan, [path for path, one in troubled if one.get("cut")]


def outcome_of(row: FileResult, cut: bool = False) -> dict[str, Any]:
    """A row of a report as JSON values."""
    found = {"status": row.status, "chunks": row.chunks, "reason": row.reason}
    return found | {"cut": True} if cut else found


def row_of(path: str, outcome: Mapping[str, Any]) -> FileResult:
    return FileResult(path, outcome["status"], outcome["chunks"], outcome["reason"])


def sees(paths: Sequence[str]) -> bool:
    """Whether this machine has all of the paths; addresses of objects aren't looked at."""
    return all(path.startswith("s3://") or os.path.exists(path) for path in paths)  # noqa: PTH110 - may be odd


def _task(task: Task) -> dict[str, Any]:
    return {
        "status": task.status,
        "reason": task.reason,
        "file": task.file,
        "places": [list(p) for p in task.places],
    }


def _values(one: Found | Source) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}
