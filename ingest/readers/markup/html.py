"""HTML: its visible text, under its headings. Nothing is downloaded; scripts and hidden parts are left out.

Each paragraph is a separate block, so that its line range stays narrow; lists, tables and `pre` are one block
each. Of menus only entries as long as titles are kept, at the end.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

from lxml import etree

from ingest.readers.blocks import HEADING_CHARS, Block, Content, Context, Outline, one_line
from ingest.readers.encoding import decode_as
from ingest.readers.markup.html_boilerplate import boilerplate, is_menu
from ingest.readers.markup.html_page import BLOCKS, Page
from ingest.readers.markup.html_visible import is_title
from kb_assistant.messages import _

# The parser stops at the end of a page, although browsers continue after it.
_PAGE_ENDS = re.compile(r"</(?:body|html)[ \t]*>", re.IGNORECASE)
_TITLE_WORDS = 5
_CHARSET = re.compile(rb"<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)


def read(data: bytes, context: Context) -> Content:
    """The blocks of a page. Its title is <title>, else the first <h1>."""
    return of_text(_decode(data), alone=True)


def read_part(data: bytes) -> Content:
    """The blocks of a page that is part of something else, such as a chapter of a book."""
    return of_text(_decode(data))


def of_text(text: str, alone: bool = False) -> Content:
    """The blocks of a decoded page.

    Args:
        alone: It is a page of a website, whose boilerplate is left out, not a mail or a chapter.
    """
    root, too_deep = _tree(text)
    if too_deep:
        return _without_structure(text)
    if root is None:
        return Content("", ())
    left_out = boilerplate(root) if alone else set[Any]()
    page = Page(Outline(), 1, text.count("\n") + 1, left_out)
    page.walk(root)
    title = one_line(root.findtext("head/title") or "") or page.first_heading
    blocks = (*page.outline.finish(), *_menu_titles([*root.iter("nav"), *filter(is_menu, left_out)]))
    return Content(title[:HEADING_CHARS].rstrip(), blocks, _metadata(root), tuple(dict.fromkeys(page.notes)))


def add_html(outline: Outline, text: str, first_line: int, last_line: int) -> tuple[str, list[str]]:
    """Add the blocks of HTML within another document, from `first_line` of its `last_line` lines on.

    Returns:
        The first heading of level 1, or an empty string, and notes on hidden text.
    """
    root, too_deep = _tree(text)
    if too_deep:
        content = _without_structure(text)
        for block in content.blocks:
            outline.add(block.text, block.kind, (first_line, first_line + text.count("\n")))
        return "", list(content.notes)
    if root is None:
        return "", []
    page = Page(outline, first_line, last_line)
    page.walk(root)
    return page.first_heading, page.notes


def _tree(text: str) -> tuple[Any, bool]:
    """The root, None without text, and whether the page is nested too deep for a tree."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
    text = _PAGE_ENDS.sub("", text)
    root = etree.fromstring(text.encode("utf-8", "replace"), parser) if text.strip() else None
    return root, any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log)


def _metadata(root: Any) -> dict[str, Any]:
    """The page's metadata from <meta>."""
    said = {
        (meta.get("name") or meta.get("property") or "").lower(): meta.get("content") for meta in root.iter("meta")
    }
    date = re.match(r"\d{4}-\d{2}-\d{2}", said.get("date") or said.get("article:published_time") or "")
    tags = [tag for word in re.split("[,，;；]", said.get("keywords") or "") if (tag := one_line(word))]
    found = {"author": one_line(said.get("author") or ""), "date": date[0] if date else "", "tags": tags}
    return {name: value for name, value in found.items() if value}


def _menu_titles(menus: Iterable[Any]) -> tuple[Block, ...]:
    """Menu entries that describe their targets, such as titles of articles; single words don't."""
    titles: dict[str, None] = {}
    for menu in menus:
        for link in menu.iter("a"):
            words = one_line(" ".join(link.itertext()))
            if is_title(words, _TITLE_WORDS):
                titles[words] = None
    return (Block("\n".join(f"- {title}" for title in titles)),) if titles else ()


class _Words(HTMLParser):
    """Text without structure, for pages nested too deep for a tree."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._skipped = ""

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._skipped = tag
        elif tag in BLOCKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._skipped:
            self._skipped = ""

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.words.append(data)


def _without_structure(text: str) -> Content:
    parser = _Words()
    parser.feed(text)
    parser.close()
    lines = [line for part in "".join(parser.words).split("\n") if (line := one_line(part))]
    note = _("The page is nested too deep: its words were read without its headings and tables.")
    return Content("", (Block("\n".join(lines)),) if lines else (), {}, (note,))


def _decode(data: bytes) -> str:
    """Decode by byte order mark or declaration; a declaration that the bytes contradict is ignored."""
    declared = None if data.startswith(codecs.BOM_UTF8) else _CHARSET.search(data[:4096])
    return decode_as(data, declared[1].decode("ascii", "replace") if declared else "")
