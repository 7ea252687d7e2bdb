"""Mail as it really comes: attachments of all kinds, archives among them, S/MIME, winmail.dat, bounces."""

from __future__ import annotations

import io
import struct
import zipfile
from contextlib import suppress
from email.message import EmailMessage

import pytest

from ingest.readers import read
from ingest.readers.blocks import Content
from ingest.readers.mail.cms import signed_content
from ingest.readers.mail.tnef import parse_tnef
from kb_assistant.errors import ReadError

PUMP = "The pump is serviced every three months."


def texts(content: Content) -> str:
    return "\n".join(block.text for block in content.blocks)


def letter(body: str = "See below.", html: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Wang <w@example.com>", "b@example.com", "Service"
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def with_file(data: bytes, name: str, kind: str = "application/octet-stream") -> bytes:
    message = letter()
    main, _, sub = kind.partition("/")
    message.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(name, body)
    return buffer.getvalue()


class TestText:
    def test_a_paragraph_that_only_the_html_says(self) -> None:
        html = f"<p>The meeting is at two.</p><p>{PUMP}</p>"
        content = read("a.eml", letter("The meeting is at two. Bring the reports, please.", html).as_bytes())
        assert texts(content).count("The meeting is at two.") == 1
        assert PUMP in texts(content)

    @pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n\r\n"])
    def test_what_stands_before_the_headers(self, before: bytes) -> None:
        assert read("a.eml", before + letter(PUMP).as_bytes()).title == "Service"

    def test_a_charset_written_as_names_of_files_are(self) -> None:
        data = "From: a@example.com\nContent-Type: text/plain; charset*=utf-8''gb2312\n\n泵的维护周期".encode(
            "gbk"
        )
        assert "泵的维护周期" in texts(read("a.eml", data))

    def test_a_bounce_tells_why(self) -> None:
        data = (
            b"Subject: Undelivered\nContent-Type: multipart/report; boundary=b\n\n--b\n\nSorry.\n--b\n"
            b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            b"Final-Recipient: rfc822; x@example.com\nDiagnostic-Code: smtp; 550 no such pump\n\n--b--\n"
        )
        assert "550 no such pump" in texts(read("a.eml", data))

    @pytest.mark.parametrize("name", ["a.mbox", "a.msg", "a.eml", "mail"])
    def test_a_single_mail_under_other_names(self, name: str) -> None:
        content = read(name, b"Received: from x\nSubject: One\nFrom: a@example.com\n\n" + PUMP.encode())
        assert content.title == "One"
        assert PUMP in texts(content)

    @pytest.mark.parametrize("name", ["a.msg", "Inbox"])
    def test_a_mailbox_under_other_names(self, name: str) -> None:
        one = b"From a@example.com Thu Jan  1 00:00:00 2026\nreceived: x\nFrom: a@example.com\n\n" + PUMP.encode()
        assert read(name, one + b"\n\n" + one).metadata["mails"] == 2


class TestAttachments:
    @pytest.mark.parametrize("name", ["fix.patch", "LICENSE", "meeting.ics"])
    def test_text_of_no_known_kind(self, name: str) -> None:
        content = read("a.eml", with_file(PUMP.encode(), name))
        assert (content.blocks[-1].text, content.blocks[-1].attachment) == (PUMP, name)

    def test_a_signature_is_no_document(self) -> None:
        content = read(
            "a.eml", with_file(b"-----BEGIN PGP SIGNATURE-----\nabc", "s.asc", "application/pgp-signature")
        )
        assert "abc" not in texts(content)
        assert content.notes == ()

    def test_an_archive(self) -> None:
        inner = zipped({"deep/b.md": b"# Valves\n\nopen"})
        data = zipped({"a.txt": PUMP.encode(), "inner.zip": inner, "x.bin": b"\0\1", "../out.txt": b"no"})
        content = read("a.eml", with_file(data, "docs.zip"))
        found = {block.attachment: block.text for block in content.blocks if block.attachment}
        assert found == {"docs.zip/a.txt": PUMP, "docs.zip/inner.zip/deep/b.md": "open"}
        assert any("leads out of the archive" in note for note in content.notes)
        assert any("1 files of kinds" in note for note in content.notes)

    def test_an_archive_counts_as_a_level(self) -> None:
        mail = with_file(zipped({"a.eml": with_file(zipped({"b.txt": b"deep"}), "b.zip")}), "a.zip")
        content = read("a.eml", mail)
        assert "deep" not in texts(content)
        assert any("too deep" in note for note in content.notes)

    def test_an_archive_that_grows(self) -> None:
        content = read("a.eml", with_file(zipped({"a.txt": bytes(30_000_000)}), "a.zip"))
        assert any("times its size" in note for note in content.notes)

    def test_an_archive_that_is_none(self) -> None:
        assert any("damaged" in note for note in read("a.eml", with_file(b"PK\3\4 no", "a.zip")).notes)


def element(tag: int, *inner: bytes, is_open: bool = False) -> bytes:
    body = b"".join(inner)
    if is_open:
        return bytes((tag, 0x80)) + body + b"\0\0"
    size = bytes((len(body),)) if len(body) < 128 else b"\x82" + struct.pack(">H", len(body))
    return bytes((tag,)) + size + body


def cms(content: bytes, kind: bytes = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", is_open: bool = False) -> bytes:
    """ContentInfo with SignedData without signers (RFC 5652)."""
    octets = element(4, content[:20]) + element(4, content[20:])
    wrapped = element(0x24, octets, is_open=True) if is_open else element(4, content)
    inner = element(
        0x30, element(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"), element(0xA0, wrapped, is_open=is_open)
    )
    signed = element(0x30, element(2, b"\1"), element(0x31), inner, element(0x31), is_open=is_open)
    return element(0x30, element(6, kind), element(0xA0, signed, is_open=is_open), is_open=is_open)


class TestSecured:
    @pytest.mark.parametrize("is_open", [False, True])
    def test_what_was_signed_is_read(self, is_open: bool) -> None:
        data = cms(b"Content-Type: text/plain\n\n" + PUMP.encode(), is_open=is_open)
        content = read("a.eml", with_file(data, "smime.p7m", "application/pkcs7-mime"))
        assert PUMP in texts(content)

    def test_damaged_or_other_messages_hold_nothing(self) -> None:
        whole = cms(b"words")
        assert signed_content(whole) == b"words"
        assert signed_content(cms(b"words", b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03")) == b""
        for end in range(len(whole) - 1):
            assert signed_content(whole[:end]) == b""
        assert signed_content(b"\x30\x80" * 1000) == b""

    @pytest.mark.parametrize(
        "body",
        [
            b"Content-Type: application/pkcs7-mime; name=smime.p7m\n\n"
            + cms(b"x", b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"),
            b"Content-Type: text/plain\n\n-----BEGIN PGP MESSAGE-----\nabc\n-----END PGP MESSAGE-----\n",
            b"Content-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\n"
            b"Version: 1\n--b\nContent-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\nabc\n"
            b"-----END PGP MESSAGE-----\n--b--\n",
        ],
    )
    def test_an_encrypted_mail_is_refused(self, body: bytes) -> None:
        with pytest.raises(ReadError, match="encrypted") as caught:
            read("a.eml", b"From: a@example.com\nSubject: Secret\n" + body)
        assert "decrypted" in caught.value.hint

    def test_an_encrypted_part_is_said(self) -> None:
        body = b"-----BEGIN PGP MESSAGE-----\nabc\n-----END PGP MESSAGE-----\n"
        data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nHello.\n--b\n\n" + body + b"--b--\n"
        content = read("a.eml", data)
        assert (texts(content), content.notes) == ("Hello.", ("A part of it is encrypted and was left out.",))


def part(number: int, value: bytes) -> bytes:
    return b"\1" + struct.pack("<HHI", number, 0, len(value)) + value + b"\0\0"


def text_property(number: int, text: str) -> bytes:
    value = text.encode("utf-16-le")
    return struct.pack("<HHII", 0x1F, number, 1, len(value)) + value + bytes(-len(value) % 4)


def lump(*parts: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\1\0" + b"".join(parts)


PARTS = (
    part(0x9007, struct.pack("<II", 936, 0)),
    part(0x8004, "季度会议".encode("gbk") + b"\0"),
    part(0x800C, b"The body.\0"),
    part(0x9002, bytes(14)),
    part(0x8010, b"SHORT~1.TXT\0"),
    part(0x800F, PUMP.encode()),
    part(0x9005, struct.pack("<I", 2) + struct.pack("<HHI", 3, 0x3705, 1) + text_property(0x3707, "泵.txt")),
)
WINMAIL = lump(*PARTS)


class TestWinmail:
    def test_by_itself_and_attached(self) -> None:
        content = read("winmail.dat", WINMAIL)
        assert content.title == "季度会议"
        content = read("a.eml", with_file(WINMAIL, "winmail.dat", "application/ms-tnef"))
        assert "The body." not in texts(content)
        assert (content.blocks[-1].attachment, content.blocks[-1].text) == ("泵.txt", PUMP)

    def test_its_text_where_the_mail_has_none(self) -> None:
        data = b"Subject: x\nContent-Type: application/ms-tnef; name=winmail.dat\n\n" + WINMAIL
        assert "The body." in texts(read("a.eml", data))

    def test_cut_off_anywhere(self) -> None:
        refused = 0
        ends = [6 + sum(map(len, PARTS[:count])) for count in range(len(PARTS) + 1)]
        whole = {end - less for end in ends for less in range(3)}  # a part ends with two bytes of checksum
        for end in range(6, len(WINMAIL)):
            with suppress(ReadError):
                cut = parse_tnef(WINMAIL[:end])
                assert cut.unread or end in whole
                continue
            refused += 1
        assert refused < len(WINMAIL) / 2
        assert parse_tnef(WINMAIL).unread == []

    def test_of_its_html_what_the_plain_text_lacks(self) -> None:
        html = struct.pack("<HHII", 0x102, 0x1013, 1, 28) + b"<p>The valve is red, too.</p>"[:28]
        data = lump(part(0x800C, b"The body.\0"), part(0x9003, struct.pack("<I", 1) + html))
        said = texts(read("winmail.dat", data))
        assert "The body." in said
        assert "The valve is red" in said


def test_a_charset_that_is_none_is_passed_over() -> None:
    for name in ("utf-8\0x", "utf-8 or so", "gb\x0118030", "no-such"):
        data = b"Subject: =?" + name.encode() + b'?q?a?=\nContent-Type: text/plain; charset="' + name.encode()
        assert "The pump is blue." in texts(read("a.eml", data + b'"\n\nThe pump is blue.\n'))


JUNK = b"\x00\x01\x02\xff\xfe\x03\x9c" * 40


def test_a_fault_in_a_reader_costs_its_attachment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr("ingest.readers.attachments.read", fail)
    content = read("a.eml", with_file(b"x", "a.md"))
    assert "See below." in texts(content)
    assert "The attachment “a.md” can't be read: the reader failed (IndexError)." in content.notes


def test_a_part_that_cannot_be_read_leaves_the_others() -> None:
    mail = letter()
    mail.add_attachment("The valve is red.", filename="valve.txt")
    whole = mail.as_bytes().replace(b"See below.", JUNK)
    content = read("a.eml", whole)
    assert "The valve is red." in texts(content)
    assert any("A part of the mail can't be read" in note for note in content.notes)
    with pytest.raises(ReadError):
        read("a.eml", letter().as_bytes().replace(b"See below.", JUNK))


def test_a_mail_that_cannot_be_read_leaves_the_others_of_its_mailbox() -> None:
    def box(*bodies: bytes) -> bytes:
        start = b"From a@example.org Thu Jan  1 00:00:00 2026\n"
        return b"\n\n".join(start + letter().as_bytes().replace(b"See below.", body) for body in bodies)

    content = read("a.mbox", box(b"The pump is blue.", JUNK, b"The valve is red."))
    assert "The pump is blue." in texts(content)
    assert "The valve is red." in texts(content)
    assert any(note.startswith("Mail 2 of 3 can't be read") for note in content.notes)
    with pytest.raises(ReadError, match="None of its mails"):
        read("a.mbox", box(JUNK, JUNK))
