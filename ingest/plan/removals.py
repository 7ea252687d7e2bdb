"""Decides which known sources are removed: their file is left out now, gone, or found in another place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ingest.plan.files import FilePlanner
from ingest.plan.known import Known, is_printable
from ingest.plan.moves import drives_of, followed, gone_files, moved_files
from ingest.plan.result import Plan
from kb_assistant.messages import _
from kb_assistant.store import Snapshot
from kb_assistant.store.presence import FilePresence
from kb_assistant.types import MissingFiles


def plan_removals(files: FilePlanner, presence: FilePresence) -> None:
    """Known sources in the searched places that weren't found. Those on a drive that isn't mounted now, and those
    that can't be looked at, stay, unless they are to be pruned."""
    plan, closed, away = files.plan, tuple(files.closed), list[str]()
    lost: dict[Path | None, list[str]] = defaultdict(list)
    met = (plan.rows, plan.tasks, plan.archives)
    for scope in files.scopes:
        for known in files.known.under(scope) if is_printable(scope) else ():
            path = known.path
            if any(path in there for there in met) or path.startswith(closed or ("\0",)):
                continue
            state = presence.state(path)
            if state == "there" and _has_its_name(Path(path)):
                plan.remove[path] = _("left out by filters or ignore files")
            elif state == "unreachable" and not files.choice.prune:
                away.append(path)
            else:
                lost[presence.drive_of(Path(path).parent)].append(path)
    for drive, paths in lost.items():
        if drive and not files.choice.prune and _is_another(files.known, drive, presence):
            away += paths
        else:
            plan.remove |= dict.fromkeys(paths, _("no longer there"))
    plan.missing = MissingFiles(unreachable=tuple(sorted(away)))


def _is_another(known: Known, drive: Path, presence: FilePresence) -> bool:
    """Whether another drive than the known one seems to be mounted there: no known file is on it. That of the
    store is the same."""
    return not known.is_stored_on(drive, presence) and not any(
        presence.state(path) == "there" for path in known.on_drive(drive, presence)
    )


def look_beside(plan: Plan, scopes: Sequence[str], snapshot: Snapshot, presence: FilePresence) -> None:
    """Known files outside of the searched places that are gone: remove those that were found elsewhere."""
    roots = [Path(scope) for scope in scopes]
    drives = drives_of(presence, roots)
    read = {path: (task.status, task.digest) for path, task in plan.tasks.items()}
    read |= {path: (one.status, one.source.digest) for path, one in plan.archives.items()}
    by_digest = {digest: path for path, (_status, digest) in reversed(read.items())}
    moves = moved_files(snapshot, presence, drives, by_digest)
    moves = {path: move for path, move in moves.items() if path not in plan.remove}
    beside, elsewhere = gone_files(snapshot, presence, drives, roots)
    gone = [path for path in (*beside, *elsewhere) if path not in plan.remove and path not in moves]
    new = {path: digest for path, (status, digest) in read.items() if status == "added"}
    moves |= followed(snapshot, presence, drives, gone, moves, new)
    plan.moved = moves
    plan.remove |= {path: move.reason for path, move in moves.items()}
    plan.missing = MissingFiles(
        gone=tuple(path for path in beside if path not in plan.remove),
        unreachable=tuple(path for path in plan.missing.unreachable if path not in plan.remove),
    )


def _has_its_name(path: Path) -> bool:
    """Whether a file that is there has exactly this name, even on a case-insensitive system."""
    try:
        return path in path.parent.iterdir()
    except NotADirectoryError:
        return False  # its archive is a file without it now
    except OSError:
        return True
