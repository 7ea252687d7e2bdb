"""Mailboxes (MBOX): one mail after another, each under its subject."""

from __future__ import annotations

import re

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.detect import detect
from ingest.readers.mail.message import parse_message, under_subject
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_BEGIN = re.compile(rb"^From [^\n]*\n", re.MULTILINE)
_YEAR = re.compile(rb"\d{4}")


def read(data: bytes, context: Context) -> Content:
    """The mails in order.

    Raises:
        ReadError: no mail in it begins as in a mailbox.
    """
    if not data.strip():
        return Content("", ())
    starts = [one for one in _BEGIN.finditer(data) if one.start() == 0 or _YEAR.search(one[0])]
    if not starts and detect(data, "") == "mail.message":
        return parse_message(data).content(context)
    if not starts:
        raise ReadError(_("This isn't a mailbox: no mail begins in it."), _("Save single mails as .eml."))
    blocks: list[Block] = []
    notes: list[str] = []
    ends = [match.start() for match in starts[1:]] + [len(data)]
    for number, (match, end) in enumerate(zip(starts, ends, strict=True), 1):
        letter = re.sub(rb"(?m)^>(>*From )", rb"\1", data[match.end() : end])
        try:
            content = parse_message(letter).content(context)
        except ReadError as error:  # the other mails can still be read
            notes.append(
                _(
                    "Mail {number} of {count} can't be read: {reason}",
                    number=number,
                    count=len(starts),
                    reason=error.full_message,
                )
            )
            continue
        blocks += under_subject(content)
        notes += content.notes
    if not blocks and notes:
        raise ReadError(_("None of its mails can be read."), notes[0])
    return Content("", tuple(blocks), {"mails": len(starts)}, tuple(dict.fromkeys(notes)))
