"""Zip and tar archives as folders: their contents, and the bytes of one member. Runs in the sandbox.

Nothing is unpacked to disk. Names that lead out of the archive, links, devices and members that no password opens
are refused one by one; an archive that unpacks to too much is refused as a whole, because the part read would be
arbitrary.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from ingest.archive_formats import BROKEN, ArchiveFile, Entry, open_archive
from ingest.readers import SUFFIXES
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

SUFFIXES_OF_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
DEEPEST = 3
"""Deepest nesting of archives."""

MOST_RATIO = 200
"""Largest ratio of unpacked to packed size; repetitive text, such as a log, reaches 50."""

SMALL = 10_000_000
"""Unpacked bytes up to which the ratio doesn't matter."""

NEVER_READ = frozenset(("__pycache__", "node_modules", "__MACOSX"))
MemberPlace = tuple[int, str]
"""A member of an archive: its index from 0, and its name, which must be unchanged when it is read."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A document in an archive, or a member that can't be read.

    Attributes:
        places: Its position: one place for each enclosing archive, outermost first.
        problem: Why it can't be read, in words; else empty.
    """

    places: tuple[MemberPlace, ...]
    size: int = 0
    sha256: str = ""
    problem: str = ""

    @property
    def path(self) -> str:
        """The path within the outermost archive."""
        return "/".join(name for _, name in self.places)


@dataclass(slots=True)
class Contents:
    """The documents of an archive, including nested archives, and the number of other files by suffix."""

    members: list[Member] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Limits: unpacked bytes in total, bytes of one member, and number of members."""

    unpacked: int
    member: int
    members: int


def is_archive(name: str) -> bool:
    return name.lower().endswith(SUFFIXES_OF_ARCHIVES)


def list_contents(
    name: str, file: IO[bytes], size: int, limits: ArchiveLimits, passwords: Sequence[str] = ()
) -> Contents:
    """The content of an archive of `size` bytes, each document hashed, which proves that it can be unpacked. The
    passwords are tried on encrypted members.

    Raises:
        ReadError: it is damaged, or exceeds a limit.
    """
    contents = Contents()
    _list(open_archive(name, file, passwords), (), contents, _Meter(size, limits))
    return contents


class OpenArchive:
    """The archive last read from, kept open at its position, so that the next member is read at once."""

    def __init__(self, passwords: Sequence[str] = ()) -> None:
        self._passwords = passwords
        self._open: list[tuple[object, ArchiveFile]] = []

    def member(
        self, identity: object, name: str, file: IO[bytes], places: tuple[MemberPlace, ...], limits: ArchiveLimits
    ) -> bytes:
        """The bytes of a member.

        Args:
            identity: Identity of the exact file and its state.
            name: Name of the archive.
            file: Used if that archive isn't open yet.

        Raises:
            ReadError: it is missing or changed, or can't be unpacked.
        """
        keys: list[object] = [identity, *places[:-1]]
        names = [name, *(inner for _, inner in places)]
        same = 0
        while same < min(len(keys), len(self._open)) and self._open[same][0] == keys[same]:
            same += 1
        del self._open[same:]
        for depth in range(same, len(keys)):
            inner = file if depth == 0 else io.BytesIO(self._bytes(depth - 1, places[depth - 1], limits.member))
            self._open.append((keys[depth], open_archive(names[depth], inner, self._passwords)))
        return self._bytes(len(keys) - 1, places[-1], limits.member)

    def _bytes(self, depth: int, place: MemberPlace, most: int) -> bytes:
        archive, (number, name) = self._open[depth][1], place
        try:
            entry = archive.entry(number)
            if entry is None or entry.name != name or entry.problem:
                raise ReadError(_("The archive changed while it was being read."), _("Ingest it again."))
            with archive.open(number) as member:
                data = member.read(most + 1)
        except BROKEN as error:
            del self._open[depth:]
            raise ReadError(
                _("It can't be unpacked ({error}).", error=type(error).__name__), _("Pack the archive anew.")
            ) from error
        if len(data) > most:
            raise ReadError(
                _("It is larger than {megabytes} MB.", megabytes=most // 1_000_000),
                _("Split it, or raise file_megabytes."),
            )
        return data


class _Meter:
    """The amount unpacked so far."""

    def __init__(self, size: int, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._most = min(limits.unpacked, max(SMALL, MOST_RATIO * size))
        self._bytes = self._members = 0

    def count_member(self) -> None:
        self._members += 1
        if self._members > self.limits.members:
            raise ReadError(
                _("There are more than {count:,} files in it.", count=self.limits.members),
                _("Unpack it into a folder, or raise archive_members."),
            )

    def count_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes <= self._most:
            return
        if self._most < self.limits.unpacked:
            raise ReadError(
                _(
                    "It unpacks to more than {ratio} times its size, as only archives made to do harm do.",
                    ratio=MOST_RATIO,
                ),
                _("If you trust it, unpack it into a folder."),
            )
        raise ReadError(
            _("It unpacks to more than {megabytes:,} MB.", megabytes=self.limits.unpacked // 1_000_000),
            _("Unpack it into a folder, or raise archive_megabytes."),
        )


def _entries(archive: ArchiveFile) -> Iterator[tuple[int, Entry]]:
    number = 0
    while True:
        try:
            entry = archive.entry(number)
        except BROKEN as error:
            raise ReadError(_("The archive is damaged."), _("Pack or download it anew.")) from error
        if entry is None:
            return
        yield number, entry
        number += 1


def _list(archive: ArchiveFile, above: tuple[MemberPlace, ...], contents: Contents, meter: _Meter) -> None:
    for number, entry in _entries(archive):
        meter.count_member()
        if not entry.cheap:
            meter.count_bytes(entry.size)
        parts = entry.name.split("/")
        if not entry.name or any(map(_is_hidden, parts)):
            continue
        places = (*above, (number, entry.name))
        inner = is_archive(entry.name)
        suffix = "." + parts[-1].rpartition(".")[2].lower() if "." in parts[-1] else ""
        if entry.problem:
            contents.members.append(Member(places, problem=entry.problem))
        elif not inner and suffix not in SUFFIXES:
            contents.skipped[suffix or "no suffix"] += 1
        elif inner and len(places) > DEEPEST:
            problem = _("archives are read {depth} deep; unpack the outer one into a folder", depth=DEEPEST)
            contents.members.append(Member(places, problem=problem))
        else:
            _list_member(archive, places, entry.cheap, contents, meter)


def _is_hidden(part: str) -> bool:
    return part in NEVER_READ or (part.startswith(".") and part != "..")


def _list_member(
    archive: ArchiveFile, places: tuple[MemberPlace, ...], count: bool, contents: Contents, meter: _Meter
) -> None:
    """Add a document by its hash, an archive by its contents. `count` its bytes if not counted yet."""
    inner = is_archive(places[-1][1])
    hashed, size, kept = hashlib.sha256(), 0, io.BytesIO()
    try:
        with archive.open(places[-1][0]) as file:
            while block := file.read(_BLOCK):
                size += len(block)
                meter.count_bytes(len(block) if count else 0)
                if size > meter.limits.member:
                    problem = _(
                        "larger than {megabytes} MB (file_megabytes)", megabytes=meter.limits.member // 1_000_000
                    )
                    contents.members.append(Member(places, problem=problem))
                    return
                hashed.update(block)
                if inner:
                    kept.write(block)
    except BROKEN as error:
        problem = _("damaged: it can't be unpacked ({error}); pack the archive anew", error=type(error).__name__)
        contents.members.append(Member(places, problem=problem))
        return
    if not inner:
        contents.members.append(Member(places, size, hashed.hexdigest()))
        return
    try:
        opened = open_archive(places[-1][1], kept, archive.passwords)
    except ReadError as error:
        contents.members.append(Member(places, problem=error.full_message))
        return
    _list(opened, places, contents, meter)
