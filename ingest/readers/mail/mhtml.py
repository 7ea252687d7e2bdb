"""Web pages saved as one file (MHTML): the page, and the pages in its frames; pictures are not read."""

from __future__ import annotations

from dataclasses import replace

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.mail.message import parse_message
from kb_assistant.errors import ReadError
from kb_assistant.messages import _


def read(data: bytes, context: Context) -> Content:
    """The pages of the file.

    Raises:
        ReadError: it contains no page.
    """
    letter = parse_message(data, is_website=True)
    if not letter.pages and not letter.plain:
        raise ReadError(_("There is no web page in the file."), _("Save it anew in the browser."))
    texts = [Block(text.strip()) for text in letter.plain if text.strip()] if not letter.pages else []
    blocks = [*texts, *(replace(block, lines=None) for content in letter.pages for block in content.blocks)]
    first = letter.pages[0] if letter.pages else Content("", ())
    notes = tuple(dict.fromkeys(note for content in letter.pages for note in content.notes))
    return Content(first.title or letter.headers["Subject"], tuple(blocks), first.metadata, notes)
