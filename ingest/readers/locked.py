"""Office files under a password: opened with those the user gave, then read like any other."""

from __future__ import annotations

import io
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

from ingest.readers import Content, Context
from ingest.readers.detect import detect
from kb_assistant.errors import ReadError

MISSING = "Install what opens it: pip install 'kb-assistant[locked]'. Or save a copy without a password."


def read(data: bytes, context: Context) -> Content:
    """The content of a document that is encrypted as a whole.

    Raises:
        ReadError: no password was given, none fits, or what opens it isn't installed.
    """
    inner = unlocked(data, context, "document")
    module = detect(inner, "")
    if module in ("", "locked"):
        raise ReadError(
            "Its password fits, but what is inside isn't an Office document.", "Open and save it anew."
        )
    content: Content = import_module(f"ingest.readers.{module}").read(inner, replace(context, passwords=()))
    return content


def unlocked(data: bytes, context: Context, what: str) -> bytes:
    """The document without its password.

    Raises:
        ReadError: no password was given, none fits, or what opens it isn't installed.
    """
    if not context.passwords:
        raise ReadError(f"The {what} needs a password.", "Give it with --password, or save a copy without one.")
    if find_spec("msoffcrypto") is None:
        raise ReadError(f"The {what} needs a password, and opening it needs an extra.", MISSING)
    import msoffcrypto

    for password in context.passwords:
        opened = io.BytesIO()
        try:
            file = msoffcrypto.OfficeFile(io.BytesIO(data))
            file.load_key(password=password)
            file.decrypt(opened)
        except MemoryError:
            raise
        except Exception:  # each format and each damage has an error of its own; the next password may fit
            continue
        return opened.getvalue()
    raise ReadError(f"No password given opens the {what}.", "Check --password, or save a copy without one.")


def is_locked(data: bytes) -> bool | None:
    """Whether an Office file of the old kind needs a password; None where nothing can tell."""
    if find_spec("msoffcrypto") is None:
        return None
    import msoffcrypto

    try:
        return bool(msoffcrypto.OfficeFile(io.BytesIO(data)).is_encrypted())
    except MemoryError:
        raise
    except Exception:
        return None
