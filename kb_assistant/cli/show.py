"""What the commands print, in the language of the environment. Results go to stdout, notes and progress to
stderr."""

from __future__ import annotations

import json
import os
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kb_assistant.cli.causes import MOST_FILES, Cause
from kb_assistant.messages import _, here, join
from kb_assistant.types import Citation, Hit, Locator, MissingFiles, Report, Status

if TYPE_CHECKING:
    from kb_assistant.evaluate.run import Evaluation
    from kb_assistant.types import Progress

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ESCAPED = re.compile(f"{_CONTROL.pattern}|[\ud800-\udfff]")
_SECONDS_BETWEEN_LINES = 10.0
_ANSWER_WIDTH = 80
_ORIGINS = {"usual": _("usual"), "none": _("none")}
_STATUS: dict[Status, str] = {
    "added": _("added"),
    "updated": _("updated"),
    "unchanged": _("unchanged"),
    "duplicate": _("duplicate"),
    "removed": _("removed"),
    "failed": _("failed"),
}


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
    typer.echo(plain(here(text)), err=True)


def line(text: str) -> None:
    """A line of a result."""
    typer.echo(plain(here(text)))


def right(text: str, width: int) -> str:
    """A text at the right of a column."""
    said = here(text)
    return " " * (width - columns(said)) + said


def left(text: str, width: int) -> str:
    """A text at the left of a column."""
    said = here(text)
    return said + " " * (width - columns(said))


def columns(text: str) -> int:
    """How wide a text is on a terminal: letters of Chinese are two wide."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def row(name: str, value: object) -> None:
    """A name in a column of its own, and its value."""
    typer.echo(plain(f"{right(name, 10)}: {here(value) if isinstance(value, str) else value}"))


def place(source: str, locator: Locator | str) -> str:
    """`docs/a.md, lines 3–9, Heading`: the path as short as it can be typed here."""
    try:
        path = os.path.relpath(source)
    except ValueError:  # another drive on Windows
        path = source
    shown = source if path.startswith("..") or source.startswith(("document:", "s3://")) else path
    parts = locator.parts if isinstance(locator, Locator) else [locator]
    return plain(here(_(", ")).join(here(part) for part in (shown, *parts) if part))


def facts(index: Mapping[str, object] | None) -> str:
    """`ivf-int8, vectors 300000, recall@10 0.985, …`"""
    if index is None:
        return _("built at the next search")
    return ", ".join(
        str(value) if name == "kind" else f"{name.replace('_', ' ')} {value}" for name, value in index.items()
    )


def floors(chosen: Mapping[str, Any]) -> str:
    """`refused below 0.50, uncertain below 0.75 (usual)`"""
    return _(
        "refused below {refuse:.2f}, uncertain below {certain:.2f} ({origin})",
        refuse=chosen["refuse"],
        certain=chosen["certain"],
        origin=_ORIGINS.get(chosen["from"], chosen["from"]),
    )


def hits(found: Sequence[Hit], width: int = 300) -> None:
    for number, hit in enumerate(found, start=1):
        typer.echo(f"{number}. {place(hit.source, hit.locator)}{_missing(hit)}")
        text = " ".join(plain(hit.text).split())
        typer.echo(f"   {text[:width]}{'…' if len(text) > width else ''}")
        if hit.also_in:
            line("   " + here(_("also in: {paths}", paths=", ".join(hit.also_in))))
        if hit.near_in:
            line("   " + here(_("nearly the same in: {paths}", paths=", ".join(hit.near_in))))


def citations(cited: Sequence[Citation], answer: str) -> None:
    """The places that an answer cites, with what answers there, unless the answer quotes something else of it."""
    from kb_assistant.text.marks import unmarked

    lines = [plain(unmarked(line)).strip() for line in answer.splitlines()]
    for citation in cited:
        passage = plain(citation.hit.text)
        quotes = " ".join(line for line in lines if line and line in passage)
        doubt = "" if citation.supported else "  " + here(_("(the passage doesn't plainly say so)"))
        where = place(citation.hit.source, citation.hit.locator)
        typer.echo(f"  [{citation.n}] {where}{_answer(citation.hit, quotes)}{doubt}{_missing(citation.hit)}")


def _missing(hit: Hit) -> str:
    if hit.file == "there":
        return ""
    gone = _("(the file is gone)") if hit.file == "gone" else _("(the file can't be reached now)")
    return "  " + here(gone)


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
            typer.echo(f"{right(_STATUS[row.status], 9)}  {place(row.path, row.reason)}")
    line(_outcome(done))
    if rate := done.ocr_pages_per_s:
        line(_("OCR: {pages} pages, {rate:.2f} pages/s in each reader", pages=done.ocr_pages, rate=rate))
    if done.skipped:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in done.skipped.items())
        line(_("not documents, left out: {kinds}", kinds=kinds))
    failures(failed)
    missing(done.missing)


def _outcome(done: Report) -> str:
    """`2 added, 1 failed: 12 chunks, 8 embedded in 0.3 s`"""
    counted = [(done.count(status), word) for status, word in _STATUS.items()]
    counts = [_("{count} {status}", count=count, status=word) for count, word in counted if count]
    did = _(
        "{counts}: {chunks} chunks, {embedded} embedded in {seconds:.1f} s",
        counts=join(counts, ", ") or _("nothing to do"),
        chunks=done.chunks,
        embedded=done.embedded,
        seconds=done.seconds,
    )
    dry = _("(dry run: nothing written)") if done.dry_run else ""
    return join([did, dry, _("(stopped; run it again to go on)") if done.stopped else ""])


def failures(found: Sequence[Cause]) -> None:
    """Each cause with its files and the command that reads them."""
    for cause in found:
        line(_("{count} failed: {reason}", count=len(cause.paths), reason=cause.reason))
        _some(cause.paths)
        typer.echo(plain(f"      {cause.command}"))
    if found:
        note(_("The next `kb ingest` of their folder reads them, too. `kb sources --failed` lists them again."))


def missing(files: MissingFiles) -> None:
    """Sources without a file, and what can be done."""
    if files.gone:
        line(_("no file any more: {sources}; answers from them say so", sources=_counted(files.gone)))
        _some(files.gone)
        note(_("If they moved, `kb ingest` the new place; `kb rm --missing` forgets them."))
    if files.unreachable:
        line(_("file not reachable now: {sources}; they stay", sources=_counted(files.unreachable)))
        _some(files.unreachable)
        note(_("Mount the drive, or mend the link. `kb rm PATH`, or `kb ingest --prune PATH`, forgets them."))


def _counted(paths: Sequence[str]) -> str:
    return _("1 source") if len(paths) == 1 else _("{count:,} sources", count=len(paths))


def _some(paths: Sequence[str]) -> None:
    """The first of them, one a line."""
    for path in paths[:MOST_FILES]:
        typer.echo(f"      {place(path, '')}")
    if len(paths) > MOST_FILES:
        line("      " + here(_("and {count:,} more", count=len(paths) - MOST_FILES)))


def changes(done: Report) -> None:
    """One line a file, as it happens."""
    for row in done:
        what = row.reason or ("" if row.status == "removed" else _("{count} chunks", count=row.chunks))
        typer.echo(f"{time.strftime('%H:%M:%S')} {right(_STATUS[row.status], 9)}  {place(row.path, what)}")
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
        task = bar.add_task(here(_("reading")), total=None, speed="")

        def tell(now: Progress) -> None:
            bar.update(
                task,
                total=now.all_bytes or None,
                completed=now.bytes,
                description=here(_("{n}/{all} files", n=now.files, all=now.all_files)),
                speed=here(_speed(now)),
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
        task = bar.add_task(here(doing), total=1.0, visible=False)
        yield lambda done: bar.update(task, completed=done, visible=True)


class _Shares:
    def __init__(self, doing: str) -> None:
        self._doing, self._last = doing, time.monotonic()

    def tell(self, done: float) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            note(f"{here(self._doing)}: {done:.0%}")


class _Lines:
    def __init__(self) -> None:
        self._last = time.monotonic()

    def tell(self, now: Progress) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            files = _("{n}/{all} files", n=now.files, all=now.all_files)
            note(f"{here(join([files, _speed(now)], ', '))} {Path(now.path).name}".rstrip())


def _speed(now: Progress) -> str:
    """How fast it goes, and how long it may take."""
    said = []
    if now.seconds:
        rate = now.embedded / now.seconds
        said.append(_("{count:,} chunks embedded, {rate:.1f}/s", count=now.embedded, rate=rate))
    if (left := now.seconds_left) is not None:
        said.append(_("about {seconds:.0f} s left", seconds=left))
    return join(said, ", ")
