"""Files inside files, such as a mail's attachments: each is read by its own reader, within limits."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import PurePath

from ingest.archives import ArchiveLimits, OpenArchive, is_archive, list_contents
from ingest.readers import read
from ingest.readers.blocks import Block, Content, Context, nest
from ingest.readers.detect import FORMATS, detect
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

DEEPEST = 4
"""Deepest nesting of files: a mail in a mail with a document is three."""

_TOO_SMALL = 10_000  # bytes of an inline picture of a mail: a logo or a smiley
_ARCHIVES = (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")
_LIMITS = ArchiveLimits(unpacked=200_000_000, member=100_000_000, members=1_000)


def attached(name: str, data: bytes, context: Context, inline: bool = False) -> Content:
    """The text of an attachment, under its name; a note with the reason if it can't be read.

    Args:
        inline: It is shown within the text, like logos.
    """
    module = detect(data, FORMATS.get(PurePath(name).suffix.lower(), ""))
    if not data.strip() or (module == "image.picture" and inline and len(data) < _TOO_SMALL):
        return Content("", ())
    if context.depth + 1 >= DEEPEST:
        return _only(_("“{name}” lies too deep in other files and wasn't read.", name=name))
    if is_archive(name) and not module:
        return _unpacked(name, data, context)
    if not module:
        if data.startswith(_ARCHIVES):
            return _only(_("The attachment “{name}” is an archive and was left out.", name=name))
        return _only(
            _("The attachment “{name}” is a file of a kind that can't be read and was left out.", name=name)
        )
    try:
        content = read(name, data, context.passwords, context.depth + 1, context.heartbeat, context.ocr)
    except ReadError as error:
        return _only(_("The attachment “{name}” can't be read: {reason}", name=name, reason=error.full_message))
    except MemoryError:
        raise
    except Exception as error:  # a reader's bug must not lose the enclosing file
        return _only(
            _(
                "The attachment “{name}” can't be read: the reader failed ({error}).",
                name=name,
                error=type(error).__name__,
            )
        )
    blocks = tuple(
        replace(
            block,
            attachment=f"{name}/{block.attachment}" if block.attachment else name,
            heading=nest((name, block.heading)),
        )
        for block in content.blocks
    )
    notes = tuple(_("“{name}”: {note}", name=name, note=note) for note in content.notes)
    return Content(content.title, blocks, {}, notes)


def _unpacked(name: str, data: bytes, context: Context) -> Content:
    """The documents of an archive, as if each were attached: archives count for the nesting."""
    file, archive = io.BytesIO(data), OpenArchive(context.passwords)
    blocks: list[Block] = []
    notes: list[str] = []
    try:
        contents = list_contents(name, file, len(data), _LIMITS, context.passwords)
    except ReadError as error:
        return _only(_("The attachment “{name}” can't be read: {reason}", name=name, reason=error.full_message))
    for member in contents.members:
        path = f"{name}/{member.path}"
        if member.problem:
            notes.append(_("“{path}” can't be read: {reason}.", path=path, reason=member.problem))
            continue
        try:
            inner = archive.member(name, name, file, member.places, _LIMITS)
        except ReadError as error:
            notes.append(_("“{path}” can't be read: {reason}", path=path, reason=error.full_message))
            continue
        found = attached(path, inner, replace(context, depth=context.depth + len(member.places)))
        blocks += found.blocks
        notes += found.notes
    if left := sum(contents.skipped.values()):
        notes.append(
            _("{count} files of kinds that can't be read were left out of “{name}”.", count=left, name=name)
        )
    return Content("", tuple(blocks), {}, tuple(notes))


def _only(note: str) -> Content:
    return Content("", (), {}, (note,))
