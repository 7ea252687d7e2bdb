"""EPUB books: the chapters in reading order, each read as a page, under their headings. Books with DRM are
refused."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from ingest.readers.blocks import HEADING_CHARS, Block, Content, Context, nest, one_line, title_above
from ingest.readers.markup import html as page
from ingest.readers.zip_container import checked, damaged, inside, member, xml
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_WHAT = _("EPUB book")
_DC = "{http://purl.org/dc/elements/1.1/}"
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # ways to scramble fonts only


def read(data: bytes, context: Context) -> Content:
    """The chapters in spine order, under the book's title; a chapter without a heading gets its name from the
    table of contents. Damaged chapters are left out, with a note.

    Raises:
        ReadError: all of it is damaged, or it is protected or too large when unpacked.
    """
    archive = checked(data, _WHAT)
    names = set(archive.namelist())
    _refuse_protected(archive, names)
    try:
        container = xml(member(archive, "META-INF/container.xml", _WHAT), recover=True)
        opf = str(next(element.get("full-path") for element in container.iter("{*}rootfile")))
        package = xml(member(archive, opf, _WHAT), recover=True)
    except (ValueError, StopIteration) as error:
        raise damaged(_WHAT) from error
    metadata = _metadata(package)
    title = metadata.pop("title", "")[:HEADING_CHARS].rstrip()
    items = {item.get("id"): item for item in package.iter("{*}item")}
    chapters = _contents(archive, opf, items, names)
    blocks: list[Block] = []
    notes: list[str] = []
    missing = broken = 0
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        name = "" if item is None else inside(opf, unquote(item.get("href", "")))
        if item is None or name not in names:
            missing += 1
            continue
        if "nav" in (item.get("properties") or "").split():
            continue
        try:
            content = page.read_part(member(archive, name, _WHAT))
        except ReadError:
            broken += 1
            notes.append(_("A part of the file is damaged ({name}) and was left out.", name=name))
            continue
        chapter = title_above(chapters.get(name, ""), content.blocks)
        notes += content.notes
        blocks += [_placed(block, title, chapter) for block in content.blocks]
    if broken and not blocks:
        raise damaged(_WHAT)
    if missing:
        notes.append(_("{count} of its chapters are missing in the file.", count=missing))
    return Content(title, tuple(blocks), metadata, tuple(dict.fromkeys(notes)))


def _refuse_protected(archive: zipfile.ZipFile, names: set[str]) -> None:
    if "META-INF/encryption.xml" not in names:
        return
    ways = re.findall(rb'Algorithm="([^"]+)"', member(archive, "META-INF/encryption.xml", _WHAT))
    if any(way.decode("ascii", "replace") not in _FONTS for way in ways):
        raise ReadError(_("The book is protected (DRM)."), _("It can be read in its shop's program only."))


def _placed(block: Block, title: str, chapter: str) -> Block:
    """The block under the book's title, even where a title page has it as a heading, and its chapter's."""
    under = block.heading if chapter and chapter in block.heading else nest((chapter, block.heading))
    outermost = under.partition(" > ")[0]
    return replace(block, heading=under if outermost == title else nest((title, under)), lines=None)


def _contents(archive: Any, opf: str, items: dict[Any, Any], names: set[str]) -> dict[str, str]:
    """Names of the chapters by member, from the table of contents of EPUB 3 or 2."""
    found: dict[str, str] = {}
    for item in items.values():
        member_name = inside(opf, unquote(item.get("href") or ""))
        is_nav = "nav" in (item.get("properties") or "").split()
        if member_name not in names or not (is_nav or item.get("media-type") == "application/x-dtbncx+xml"):
            continue
        try:
            root = xml(member(archive, member_name, _WHAT), recover=True)
        except (ValueError, ReadError):
            continue
        points = [(point.find("{*}content"), point) for point in root.iter("{*}navPoint")]
        links = (
            [(link.get("href"), " ".join(link.itertext())) for link in root.iter("{*}a")]
            if is_nav
            else [
                (target.get("src"), point.findtext("{*}navLabel/{*}text") or "")
                for target, point in points
                if target is not None
            ]
        )
        for target, words in links:
            name = inside(member_name, unquote((target or "").partition("#")[0]))
            if one_line(words):
                found.setdefault(name, one_line(words)[:HEADING_CHARS])
    return found


def _metadata(package: Any) -> dict[str, Any]:
    def said(name: str) -> str:
        return one_line(package.findtext(f".//{_DC}{name}") or "")

    found = {
        "title": said("title"),
        "author": said("creator"),
        "date": said("date")[:10],
        "language": said("language"),
        "tags": [words for tag in package.iter(f"{_DC}subject") if (words := one_line(tag.text or ""))],
    }
    return {name: value for name, value in found.items() if value}
