"""Mail: headers, text, attachments, mailboxes."""

from __future__ import annotations

from ingest.readers import read
from tests.ingest.readers.documents import (
    CHINESE,
    all_text,
    letter,
    saved,
    workbook,
)


class TestMail:
    def test_headers_text_and_attachments(self) -> None:
        message = letter("The meeting is at two.", "<p>The meeting is at <b>two</b>.</p>")
        book = saved(workbook(S=[["Item", "Price"], ["Pump", 42]]))
        message.add_attachment(book, maintype="application", subtype="octet-stream", filename="价格.xlsx")
        message.add_attachment(b"\0\1", maintype="application", subtype="octet-stream", filename="a.bin")
        content = read("a.eml", message.as_bytes())
        assert content.title == "季度会议"
        assert content.metadata["date"] == "2024-06-03 10:00"
        assert "From: Wang <w@example.com>" in content.blocks[0].text
        assert all_text(content).count("The meeting is at two.") == 1
        last = content.blocks[-1]
        assert (last.attachment, last.sheet, last.heading) == ("价格.xlsx", "S", "价格.xlsx")
        assert "Price: 42" in last.text
        assert "a.bin" in content.notes[0]

    def test_html_that_says_more_is_read_too(self) -> None:
        content = read(
            "a.eml", letter("See the HTML.", f"<p>{CHINESE}</p><p>Pumps and valves everywhere</p>").as_bytes()
        )
        assert CHINESE in all_text(content)

    def test_a_broken_byte_in_a_declared_charset(self) -> None:
        body = "三月二十日下午两点在三号会议室开季度会议，请带上报表。".encode("gb2312")
        body = body.replace("下".encode("gb2312"), b"\xcf\xff")
        content = read("a.eml", b"From: a@b\nContent-Type: text/plain; charset=gb2312\n\n" + body)
        assert "三月二十日" in all_text(content)

    def test_a_header_that_is_no_base64(self) -> None:
        content = read("a.eml", b"From: a@b\nSubject: =?gb2312?B?udjT2h?=\n\nwords\n")
        assert "words" in all_text(content)

    def test_mails_in_mails_end_somewhere(self) -> None:
        message = letter("innermost")
        for depth in range(8):
            outer = letter(f"level {depth}")
            outer.add_attachment(message)
            message = outer
        content = read("a.eml", message.as_bytes())
        assert "level 7" in all_text(content)
        assert any("too deep" in note for note in content.notes)

    def test_a_mailbox(self) -> None:
        one = letter("first words").as_bytes()
        data = b"From a@b Mon Jun  3 10:00:00 2024\n" + one + b"\nFrom a@b Mon Jun  3 11:00:00 2024\n" + one
        content = read("a.mbox", data)
        assert all_text(content).count("first words") == 2
        assert content.metadata == {"mails": 2}
