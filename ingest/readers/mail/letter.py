"""The parts of a mail: headers, texts and attachments, and their combined reading."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any

from ingest.readers.attachments import attached
from ingest.readers.blocks import HEADING_CHARS, Block, Content, Context
from ingest.readers.encoding import normalize_text
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_HEADERS = ("From", "To", "Cc", "Bcc", "Date", "Subject")
_OWN_WORDS = 0.2  # a paragraph with this share of words missing from the plain text is read as well


@dataclass(slots=True)
class Letter:
    """The parts of a mail."""

    headers: dict[str, str]
    plain: list[str] = field(default_factory=list)
    pages: list[Content] = field(default_factory=list)
    attachments: list[tuple[str, bytes, bool]] = field(default_factory=list)
    encrypted: bool = False
    unread: list[ReadError] = field(default_factory=list)

    def content(self, context: Context) -> Content:
        """The headers as a block, then the text, then the attachments.

        Raises:
            ReadError: all of it is encrypted, or none of its parts can be read.
        """
        subject = self.headers.get("Subject", "")
        said = "\n".join(f"{name}: {value}" for name in _HEADERS if (value := self.headers.get(name)))
        blocks = [Block(said)] if said else []
        notes: list[str] = [_("A part of it is encrypted and was left out.")] if self.encrypted else []
        plain = [words for text in self.plain if (words := normalize_text(text).strip())]
        if self.encrypted and not (plain or self.pages or self.attachments):
            raise ReadError(_("The mail is encrypted."), _("Open it in your mail program and save it decrypted."))
        if self.unread and not (plain or self.pages or self.attachments):
            raise self.unread[0]
        notes += [_("A part of the mail can't be read: {reason}", reason=one.full_message) for one in self.unread]
        blocks += [Block(words) for words in plain]
        known = set(_words(" ".join(plain)))
        for content in self.pages:
            blocks += [replace(block, lines=None) for block in content.blocks if _adds(block, known)]
            notes += content.notes
        if not (plain or self.pages or self.attachments or subject):
            return Content("", ())
        for name, data, inline in self.attachments:
            found = attached(name, data, context, inline)
            blocks += found.blocks
            notes += found.notes
        return Content(subject[:HEADING_CHARS], tuple(blocks), self.metadata(), tuple(dict.fromkeys(notes)))

    def metadata(self) -> dict[str, Any]:
        found = {name.lower(): value for name in ("From", "To", "Subject") if (value := self.headers.get(name))}
        with suppress(ValueError, TypeError, IndexError, OverflowError):
            found["date"] = parsedate_to_datetime(self.headers.get("Date", "")).strftime("%Y-%m-%d %H:%M")
        return found


def _adds(block: Block, known: set[str]) -> bool:
    """Whether a paragraph of the HTML says much that the plain text doesn't."""
    words = _words(block.text)
    return not known or sum(word not in known for word in words) > _OWN_WORDS * len(words)


def _words(text: str) -> list[str]:
    """Words; character pairs of text written without spaces."""
    return [
        part
        for word in re.findall(r"\w+", text.lower())
        for part in ([word] if word.isascii() else [word[i : i + 2] for i in range(max(len(word) - 1, 1))])
    ]
