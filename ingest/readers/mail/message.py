"""Mail (EML): headers, text, and attachments, each read by its own reader.

The plain text is preferred; the HTML is read if there is none, or if it says much that the plain text doesn't.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header
from email.message import Message

from ingest.readers.blocks import Block, Content, Context, nest, one_line
from ingest.readers.encoding import decode, decode_as
from ingest.readers.mail.letter import _HEADERS, Letter
from ingest.readers.markup import html as page
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_WHOLE = ("message/rfc822", "message/delivery-status")
_NO_TEXT = frozenset(
    "application/pgp-signature application/pkcs7-signature application/x-pkcs7-signature text/css "
    "text/javascript".split()
)
_SECURED = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_LOCKED = re.compile(r"\s*-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----\s*", re.DOTALL)
_MOST_PARTS = 1_000
_SURROGATES = re.compile("[\udc80-\udcff]")


def read(data: bytes, context: Context) -> Content:
    """The mail with its attachments.

    Raises:
        ReadError: it has no mail headers and no text.
    """
    return parse_message(data).content(context)


def parse_message(data: bytes, is_website: bool = False) -> Letter:
    """Headers, texts and attachments of a mail's bytes.

    Args:
        is_website: Its pages were saved by a browser.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = decode(data).encode()
    data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    try:
        message = message_from_bytes(data, policy=policy.compat32)
    except (ValueError, LookupError, RecursionError) as error:
        raise ReadError(_("The mail is damaged."), _("Save it anew from the mail program.")) from error
    letter = Letter({name: header(message, name) for name in _HEADERS})
    for part in _parts(message):
        try:
            _take(part, letter, is_website)
        except ReadError as error:  # the rest of the mail can still be read
            letter.unread.append(error)
    return letter


def _take(part: Message, letter: Letter, is_website: bool) -> None:
    """Add the content of one part to the letter's texts or attachments."""
    kind = part.get_content_type()
    name = _file_name(part)
    body = _payload(part)
    disposition = str(part.get("Content-Disposition", "")).lower()
    if kind in _NO_TEXT:
        return
    if kind in _SECURED:
        _take_secured(body, letter)
    elif kind == "application/ms-tnef" or name.lower() == "winmail.dat":
        _take_lump(name or "winmail.dat", body, letter)
    elif kind == "application/pgp-encrypted" or (_LOCKED.fullmatch(body.decode("latin-1")) and not name):
        letter.encrypted = True
    elif kind in ("text/plain", "text/html") and not name and not disposition.startswith("attachment"):
        text = decode_as(body, _charset(part))
        if kind == "text/html":
            letter.pages.append(page.of_text(text, alone=is_website))
        else:
            letter.plain.append(text)
    elif kind == "message/rfc822":
        inner = part.get_payload()
        if isinstance(inner, list) and inner and isinstance(inner[0], Message):
            letter.attachments.append((name or "message.eml", inner[0].as_bytes(), False))
    elif kind == "message/delivery-status":
        letter.plain.append(part.as_string().partition("\n\n")[2])
    elif name or kind.partition("/")[0] != "text":
        inline = disposition.startswith("inline") or "Content-ID" in part
        letter.attachments.append((name or _named_by(kind), body, inline))
    elif body.strip():
        letter.plain.append(decode_as(body, _charset(part)))


def _take_secured(body: bytes, letter: Letter) -> None:
    """S/MIME: a signed mail can be read from it, an encrypted one can't."""
    from ingest.readers.mail.cms import signed_content

    if inner := signed_content(body):
        letter.attachments.append(("signed.eml", inner, False))
    else:
        letter.encrypted = True


def _take_lump(name: str, body: bytes, letter: Letter) -> None:
    """Outlook's winmail.dat: its attachments, and its text if the mail has no other."""
    from ingest.readers.mail.tnef import parse_tnef

    try:
        inner = parse_tnef(body)
    except ReadError:
        letter.attachments.append((name, body, False))
        return
    has_text = any(text.strip() for text in letter.plain) or letter.pages
    if not has_text:
        letter.plain += inner.plain
        letter.pages += inner.pages
    letter.attachments += [one for one in inner.attachments if not (has_text and one[0] == "body.rtf")]


def header(message: Message, name: str) -> str:
    """A header's text; a wrongly encoded one is decoded by guess."""
    raw = str(message.get(name) or "")
    try:
        pieces = decode_header(raw)
    except (MessageError, ValueError, LookupError, IndexError):
        pieces = [(raw, None)]
    words = []
    for piece, charset in pieces:
        if isinstance(piece, str):
            as_bytes = piece.encode("ascii", "surrogateescape") if _SURROGATES.search(piece) else None
            words.append(piece if as_bytes is None else _decoded(as_bytes, ""))
        else:
            words.append(_decoded(piece, charset or ""))
    return one_line("".join(words))


def _decoded(data: bytes, charset: str) -> str:
    try:
        return decode_as(data, "" if charset == "unknown-8bit" else charset)
    except ReadError:
        return data.decode("latin-1")


def _parts(message: Message) -> Iterator[Message]:
    """Parts with content, in order; not those of enclosed mails."""
    waiting: list[Message] = [message]
    count = 0
    while waiting and count < _MOST_PARTS:
        part = waiting.pop()
        count += 1
        inner = part.get_payload() if part.is_multipart() else None
        if isinstance(inner, list) and part.get_content_type() not in _WHOLE:
            waiting += [one for one in reversed(inner) if isinstance(one, Message)]
        else:
            yield part


def _payload(part: Message) -> bytes:
    try:
        body = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        body = str(part.get_payload()).encode("utf-8", "surrogateescape")
    return body if isinstance(body, bytes) else b""


def _charset(part: Message) -> str:
    try:
        return str(part.get_content_charset() or "")
    except (ValueError, LookupError):
        return ""


def _file_name(part: Message) -> str:
    try:
        raw = part.get_filename() or ""
    except (ValueError, LookupError, TypeError):
        return ""
    named = Message()
    named["Subject"] = raw
    return header(named, "Subject").replace("/", "_").replace("\\", "_")


def _named_by(kind: str) -> str:
    """A name for an unnamed part, by its type."""
    import mimetypes

    return f"attachment{mimetypes.guess_extension(kind) or ''}"


def under_subject(content: Content) -> tuple[Block, ...]:
    """The blocks of one mail of several, under its subject."""
    return tuple(replace(block, heading=nest((content.title, block.heading))) for block in content.blocks)
