"""Password-protected Office files: opened with the user's passwords, then read like any other."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from importlib.util import find_spec

import olefile

from ingest.readers.blocks import Content, Context
from ingest.readers.detect import detect, reader_of
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

MISSING = _("Install what opens it: pip install 'kb-assistant[locked]'. Or save a copy without a password.")

# Excel's and PowerPoint's own password of files that are only protected against changes ([MS-OFFCRYPTO] 2.4.2.3).
_EVERYONES = ("VelvetSweatshop", "/01Hannes Ruescher/01")
_FILEPASS = 0x2F
_HEAD = 4096  # bytes


def read(data: bytes, context: Context) -> Content:
    """The content of a completely encrypted document.

    Raises:
        ReadError: no password was given, none fits, or what opens it isn't installed.
    """
    inner = unlocked(data, context, _("document"))
    module = detect(inner, "")
    if module in ("", "office.encrypted_office"):
        raise ReadError(
            _("Its password fits, but what is inside isn't an Office document."), _("Open and save it anew.")
        )
    content: Content = reader_of(module).read(inner, replace(context, passwords=()))
    return content


def unlocked(data: bytes, context: Context, what: str) -> bytes:
    """The document without its password.

    Raises:
        ReadError: no password was given, none fits, or what opens it isn't installed.
    """
    needs = ReadError(
        _("The {what} needs a password.", what=what), _("Give it with --password, or save a copy without one.")
    )
    if find_spec("msoffcrypto") is None:
        extra = ReadError(_("The {what} needs a password, and opening it needs an extra.", what=what), MISSING)
        raise extra if context.passwords else needs
    import msoffcrypto

    for password in (*context.passwords, *_EVERYONES):
        opened = io.BytesIO()
        try:
            file = msoffcrypto.OfficeFile(io.BytesIO(data))
            file.load_key(password=password)
            file.decrypt(opened)
        except MemoryError:
            raise
        except Exception:  # each format and each damage has its own error; the next password may fit
            continue
        return opened.getvalue()
    if not context.passwords:
        raise needs
    raise ReadError(
        _("No password given opens the {what}.", what=what), _("Check --password, or save a copy without one.")
    )


def is_locked_book(data: bytes) -> bool:
    """Whether an old workbook (XLS) needs a password, from one of its first records ([MS-XLS] 2.4.117)."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            book = next((name for name in ("Workbook", "Book") if file.exists(name)), "")
            head = file.openstream(book).read(_HEAD) if book else b""
    except Exception:  # olefile raises any error on a damaged part
        return False
    place = 0
    while place + 4 <= len(head):
        kind, size = struct.unpack_from("<HH", head, place)
        if kind == _FILEPASS:
            return True
        place += 4 + size
    return False
