"""What the commands print. Results go to stdout, notes and progress to stderr."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from kb_assistant.cli.causes import MOST_FILES, Cause
from kb_assistant.types import Citation, Hit, MissingFiles, Report, Status

if TYPE_CHECKING:
    from kb_assistant.evaluate.run import Evaluation
    from kb_assistant.types import Progress

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ESCAPED = re.compile(f"{_CONTROL.pattern}|[\ud800-\udfff]")
_SECONDS_BETWEEN_LINES = 10.0
_ANSWER_WIDTH = 80


def plain(text: str) -> str:
    """Text from documents, without the control characters that could steer a terminal."""
    return _CONTROL.sub("", text)


def as_json(value: Any) -> None:
    """JSON with letters of all scripts as they are; what could steer a terminal, or is no text, is escaped."""
    typer.echo(_escaped(json.dumps(value, ensure_ascii=False, indent=2)))


def as_json_line(value: Any) -> None:
    """The same on one line, which is out at once: for those who read along."""
    typer.echo(_escaped(json.dumps(value, ensure_ascii=False)))
    sys.stdout.flush()


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def note(text: str) -> None:
    typer.echo(plain(text), err=True)


def place(source: str, locator: object) -> str:
    """`docs/a.md, lines 3–9, Heading`: the path as short as it can be typed here."""
    try:
        path = os.path.relpath(source)
    except ValueError:  # another drive on Windows
        path = source
    shown = source if path.startswith("..") or source.startswith(("document:", "s3://")) else path
    return plain(", ".join(part for part in (shown, str(locator)) if part))


def facts(index: Mapping[str, object] | None) -> str:
    """`ivf-int8, vectors 300000, recall@10 0.985, …`"""
    if index is None:
        return "built at the next search"
    return ", ".join(
        str(value) if name == "kind" else f"{name.replace('_', ' ')} {value}" for name, value in index.items()
    )


def floors(chosen: Mapping[str, Any]) -> str:
    """`refused below 0.50, uncertain below 0.75 (usual)`"""
    return f"refused below {chosen['refuse']:.2f}, uncertain below {chosen['certain']:.2f} ({chosen['from']})"


def hits(found: Sequence[Hit], width: int = 300) -> None:
    for number, hit in enumerate(found, start=1):
        typer.echo(f"{number}. {place(hit.source, hit.locator)}{_missing(hit)}")
        text = " ".join(plain(hit.text).split())
        typer.echo(f"   {text[:width]}{'…' if len(text) > width else ''}")
        for name, paths in (("also in", hit.also_in), ("nearly the same in", hit.near_in)):
            if paths:
                typer.echo(f"   {name}: {', '.join(plain(path) for path in paths)}")


def citations(cited: Sequence[Citation], answer: str) -> None:
    """The places that an answer cites, with what answers there, unless the answer quotes something else of it."""
    from kb_assistant.text.marks import unmarked

    lines = [plain(unmarked(line)).strip() for line in answer.splitlines()]
    for citation in cited:
        passage = plain(citation.hit.text)
        quotes = " ".join(line for line in lines if line and line in passage)
        doubt = "" if citation.supported else "  (the passage doesn't plainly say so)"
        where = place(citation.hit.source, citation.hit.locator)
        typer.echo(f"  [{citation.n}] {where}{_answer(citation.hit, quotes)}{doubt}{_missing(citation.hit)}")


def _missing(hit: Hit) -> str:
    return {"there": "", "gone": "  (the file is gone)", "unreachable": "  (the file can't be reached now)"}[
        hit.file
    ]


def _answer(hit: Hit, quotes: str) -> str:
    """`: "163 steps"`, the answer that the reader marked in a passage, if it is in what is quoted of it."""
    if not hit.answer:
        return ""
    marked = plain(hit.text[hit.answer.start : hit.answer.end])
    if quotes and marked not in quotes:
        return ""
    text = " ".join(marked.split())
    return f': "{text[:_ANSWER_WIDTH]}{"…" if len(text) > _ANSWER_WIDTH else ""}"'


def report(done: Report, failed: Sequence[Cause]) -> None:
    """Files that want attention, the counts, then what failed, by its cause, and what has no file."""
    for row in done:
        if row.status not in ("unchanged", "failed") and (row.reason or done.dry_run):
            typer.echo(f"{row.status:>9}  {place(row.path, row.reason)}")
    counts = ", ".join(f"{done.count(name)} {name}" for name in get_args(Status) if done.count(name))
    typer.echo(
        f"{counts or 'nothing to do'}: {done.chunks} chunks, {done.embedded} embedded in {done.seconds:.1f} s"
        + (" (dry run: nothing written)" if done.dry_run else "")
        + (" (stopped; run it again to go on)" if done.stopped else "")
    )
    if rate := done.ocr_pages_per_s:
        typer.echo(f"OCR: {done.ocr_pages} pages, {rate:.2f} pages/s in each reader")
    if done.skipped:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in done.skipped.items())
        typer.echo(f"not documents, left out: {kinds}")
    failures(failed)
    missing(done.missing)


def failures(found: Sequence[Cause]) -> None:
    """Each cause with its files and the command that reads them."""
    for cause in found:
        count = len(cause.paths)
        typer.echo(plain(f"{count} failed: {cause.reason}"))
        _some(cause.paths)
        typer.echo(plain(f"      {cause.command}"))
    if found:
        note("The next `kb ingest` of their folder reads them, too. `kb sources --failed` lists them again.")


def missing(files: MissingFiles) -> None:
    """Sources without a file, and what can be done."""
    if files.gone:
        typer.echo(f"no file any more: {_counted(files.gone)}; answers from them say so")
        _some(files.gone)
        note("If they moved, `kb ingest` the new place; `kb rm --missing` forgets them.")
    if files.unreachable:
        typer.echo(f"file not reachable now: {_counted(files.unreachable)}; they stay")
        _some(files.unreachable)
        note("Mount the drive, or mend the link. `kb rm PATH`, or `kb ingest --prune PATH`, forgets them.")


def _counted(paths: Sequence[str]) -> str:
    return "1 source" if len(paths) == 1 else f"{len(paths):,} sources"


def _some(paths: Sequence[str]) -> None:
    """The first of them, one a line."""
    for path in paths[:MOST_FILES]:
        typer.echo(f"      {place(path, '')}")
    if len(paths) > MOST_FILES:
        typer.echo(f"      and {len(paths) - MOST_FILES:,} more")


def changes(done: Report) -> None:
    """One line a file, as it happens."""
    for row in done:
        what = row.reason or ("" if row.status == "removed" else f"{row.chunks} chunks")
        typer.echo(f"{time.strftime('%H:%M:%S')} {row.status:>9}  {place(row.path, what)}")
    sys.stdout.flush()


def evaluation(found: Evaluation) -> None:
    """A line for each way of searching, then what was refused, then what was answered."""
    from kb_assistant.evaluate.refusal import ALLOWED

    counts = ", ".join(f"{count:,} {name}" for name, count in found.counts.items())
    typer.echo(f"{found.name}: {counts}")
    for measured in found.ways:
        values = "  ".join(f"{name} {value}" for name, value in measured.total.items() if "mrr" not in name)
        typer.echo(f"{measured.way.name:>14}  {values}")
    for row in found.differences:
        typer.echo(f"   {row.name}: " + "  ".join(f"{name} {value}" for name, value in row.total.items()))
    if refusal := found.refusal:
        typer.echo(f"   at floor {refusal.refuse_below:.2f}: wrongly refused {refusal.wrongly_refused()}")
        best_refused = refusal.refused_at_best()
        for name, refused in refusal.rightly_refused().items():
            typer.echo(f"   rightly refused, {name}: {refused}; "
                       f"where {ALLOWED:.0%} are wrongly: {best_refused[name]}")  # fmt: skip
        best = refusal.recommended
        typer.echo(f"   recommended floor {best.threshold:.2f}: {best.answered_right:.1%} answered right, "
                   f"{best.refused_right:.1%} refused right")  # fmt: skip
    for answers in found.answers:
        typer.echo(f"answers of {plain(answers.model)} to {answers.count:,} questions")
        for row in (*answers.ways, *answers.differences):
            values = "  ".join(f"{name} {value}" for name, value in row.total.items() if value.count)
            typer.echo(f"{row.name:>16}  {values}")
        if answers.note:
            typer.echo(f"   {answers.note}")
    for row in found.spans:
        values = "  ".join(f"{name} {value}" for name, value in row.total.items())
        typer.echo(f"span, {row.name}: {values}")
    for everyday in found.everyday:
        typer.echo(f"everyday questions and dialogues answered by {plain(everyday.model)}")
        for name, value in everyday.shares.items():
            typer.echo(f"{name:>24}  {value} of {value.count}")
        for miss in everyday.misses:
            typer.echo(plain(f"   {' / '.join(miss.turns)} → {miss.expected}: {' '.join(miss.answer.split())}"))


def evaluations(every: Sequence[Evaluation]) -> None:
    """Each, and what is refused over all of them."""
    from kb_assistant.evaluate.refusal import together

    for one in every:
        evaluation(one)
    refusals = [one.refusal for one in every if one.refusal]
    if len(refusals) > 1:
        for kind, refused in together(refusals).items():
            typer.echo(f"refused in all sets, {kind}: {refused} of {refused.count:,}")


@contextmanager
def ingest_progress() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal; elsewhere a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines().tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"),
        console=Console(stderr=True), transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("reading", total=None, speed="")

        def tell(now: Progress) -> None:
            bar.update(
                task,
                total=now.all_bytes or None,
                completed=now.bytes,
                description=f"{now.files}/{now.all_files} files",
                speed=_speed(now),
            )

        yield tell


@contextmanager
def share(doing: str) -> Iterator[Callable[[float], None]]:
    """Progress as a share from 0 to 1: a bar on a terminal; elsewhere a line now and then."""
    if not sys.stderr.isatty():
        yield _Shares(doing).tell
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=1.0, visible=False)
        yield lambda done: bar.update(task, completed=done, visible=True)


class _Shares:
    def __init__(self, doing: str) -> None:
        self._doing, self._last = doing, time.monotonic()

    def tell(self, done: float) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            note(f"{self._doing}: {done:.0%}")


class _Lines:
    def __init__(self) -> None:
        self._last = time.monotonic()

    def tell(self, now: Progress) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            name = f" {plain(Path(now.path).name)}" if now.path else ""
            note(f"{now.files}/{now.all_files} files, {_speed(now)}{name}")


def _speed(now: Progress) -> str:
    rate = f"{now.embedded:,} chunks embedded, {now.embedded / now.seconds:.1f}/s" if now.seconds else ""
    left = now.seconds_left
    return rate if left is None else f"{rate}, about {left:.0f} s left"
