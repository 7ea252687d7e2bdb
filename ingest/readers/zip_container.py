"""Office files and books are zip archives: opened within limits, their XML parsed without entities."""

from __future__ import annotations

import io
import posixpath
import zipfile
from typing import Any

from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_MOST_BYTES = 200_000_000
_MOST_RATIO = 200
_HARMLESS_BYTES = 10_000_000  # any archive may unpack to this much, however small
_MOST_MEMBERS = 10_000


def checked(data: bytes, what: str) -> zipfile.ZipFile:
    """The archive, unless it would fill the memory. `what` names it for the user.

    Raises:
        ReadError: it is damaged, encrypted or too large when unpacked.
    """
    if not data.strip():
        raise ReadError(_("The file is empty."), _("Save or download it anew."))
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except Exception as error:  # zipfile raises several error classes for one kind of damage
        raise damaged(what) from error
    size = sum(member.file_size for member in members)
    most = max(_HARMLESS_BYTES, min(_MOST_BYTES, _MOST_RATIO * len(data)))
    if size > most or len(members) > _MOST_MEMBERS:
        raise ReadError(
            _("The {what} is too large when unpacked.", what=what), _("Split it, if it is a real one.")
        )
    if any(member.flag_bits & 1 for member in members):
        raise ReadError(_("The {what} needs a password.", what=what), _("Save a copy without one."))
    return archive


def damaged(what: str) -> ReadError:
    return ReadError(
        _("The {what} is damaged, or isn't one.", what=what), _("Open and save it in its program, then try again.")
    )


def member(archive: zipfile.ZipFile, name: str, what: str) -> bytes:
    """A member's bytes. Raises ReadError if it is missing or damaged."""
    try:
        return archive.read(name)
    except Exception as error:
        raise damaged(what) from error


def inside(base: str, target: str) -> str:
    """Name of the member that a link in the member `base` leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), target))


def xml(data: bytes, recover: bool = False) -> Any:
    """Root element. Entities are not replaced and nothing is downloaded, so that a text can't expand or use the
    network.

    Raises:
        ValueError: it isn't XML, is nested too deep, or has no root.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=recover
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error
    if root is None:
        raise ValueError("no root element")
    return root
