"""Readers: one module per format, one interface. A reader converts bytes to blocks; it opens nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath

from ingest.readers.blocks import Content, Context, no_heartbeat
from ingest.readers.detect import FORMATS, SUFFIXES, detect, reader_of
from ingest.readers.hidden_text import without_invisible
from ingest.readers.ocr_budget import OcrBudget
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

__all__ = ["SUFFIXES", "read"]


def read(
    name: str,
    data: bytes,
    passwords: Sequence[str] = (),
    depth: int = 0,
    heartbeat: Callable[[], None] = no_heartbeat,
    budget: OcrBudget | None = None,
) -> Content:
    """The text of one file. Its content selects the reader, or, if ambiguous, its suffix. Only that reader's
    libraries are loaded.

    Args:
        name: The file's name; only its suffix counts.
        passwords: Tried in turn on an encrypted file.
        depth: Number of files that enclose this one, such as a mail around its attachment.
        heartbeat: Called before each page of OCR, so that a time limit may restart.
        budget: What OCR may read; it counts what is read.

    Raises:
        ReadError: the file is damaged, encrypted, without text, or of an unknown format.
    """
    suffix = PurePath(name).suffix.lower()
    module = detect(data, FORMATS.get(suffix, ""))
    if not module:
        raise ReadError(
            _("Files named {suffix} can't be read.", suffix=suffix)
            if suffix
            else _("Files named without a suffix can't be read."),
            _("These can: {suffixes}.", suffixes=" ".join(sorted(SUFFIXES))),
        )
    context = Context(name, tuple(passwords), depth, heartbeat, budget or OcrBudget())
    content: Content = reader_of(module).read(data, context)
    return replace(without_invisible(content), ocr=context.ocr)
