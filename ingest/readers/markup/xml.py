"""XML: the text of each element with text, feeds entry by entry, exports record by record. Entities are not
replaced.

Elements without own text give the heading path, so that a value is found with its context.
"""

from __future__ import annotations

import re
from typing import Any

from ingest.readers.blocks import Content, Context, Outline, one_line
from ingest.readers.encoding import decode
from ingest.readers.hidden_text import hidden_note
from ingest.readers.markup import html as page
from ingest.readers.markup.xml_records import local, records_in
from ingest.readers.nested import add_nested
from ingest.readers.zip_container import xml
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_ENTITIES = re.compile(rb"<!ENTITY\s", re.IGNORECASE)
_ENTRIES = frozenset(("item", "entry"))
_TITLES = ("title", "name", "headline")
_MARKUP = re.compile(r"<(?:p|div|br|a|ul|h\d|img|span)\b[^<>]*>", re.IGNORECASE)


def read(data: bytes, context: Context) -> Content:
    """The texts of the elements in order.

    Raises:
        ReadError: it isn't well-formed XML.
    """
    if not data.strip():
        return Content("", ())
    try:
        root = xml(data)
    except ValueError as error:
        root = _again(data, error)
    if local(root) == "html":
        return page.read(data, context)
    tree = _Tree()
    records = records_in(root)
    if records is None:
        tree.walk(root)
    else:
        add_nested(tree.outline, records)
        tree.title = _title_of(root)
    for comment in root.xpath("//comment()"):
        tree.notes += hidden_note(_("a comment"), comment.text)
    if _ENTITIES.search(data[:65536]):
        tree.notes.append(_("It declares entities; they were not replaced."))
    return Content(tree.title, tree.outline.finish(), {}, tuple(dict.fromkeys(tree.notes)))


def _again(data: bytes, error: ValueError) -> Any:
    """Parse XML as far as possible if its declared encoding is wrong or its end is missing."""
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", decode(data))
    try:
        root = xml(text.encode(), recover=True)
    except ValueError:
        root = None
    if root is None or not "".join(root.itertext()).strip():
        raise ReadError(
            _("This isn't well-formed XML: {reason}.", reason=error), _("Mend it, or save it as plain text.")
        ) from error
    return root


class _Tree:
    def __init__(self) -> None:
        self.outline = Outline()
        self.title = ""
        self.notes: list[str] = []

    def walk(self, root: Any) -> None:
        """Walk without recursion: files can be nested deeper than Python recurses."""
        waiting: list[tuple[Any, int]] = [(root, 1)]
        run: list[str] = []
        while waiting:
            element, depth = waiting.pop()
            if not isinstance(element.tag, str):
                continue
            children = [child for child in element if isinstance(child.tag, str)]
            name = local(element)
            if _is_mixed(element, children):
                run = self._say(run, name, " ".join(element.itertext()))
                continue
            if children and (name in _ENTRIES or depth == 1):
                self._end(run)
                run = []
                title = _title_of(element)
                self.outline.heading(depth, title, None)
                if depth == 1:
                    self.title = title
            said = _attributes(element, every=not children and not (element.text or "").strip())
            run += [f"{name} {key.rpartition('}')[2]}: {value}" for key, value in said]
            if not children:
                run = self._say(run, name, element.text or "")
            waiting += [(child, depth + 1) for child in reversed(children)]
        self._end(run)

    def _say(self, run: list[str], name: str, text: str) -> list[str]:
        """Join a short value with those before it; make a block of one with markup or many words."""
        if _MARKUP.search(text):
            self._end(run)
            content = page.of_text(text)
            self.notes += content.notes
            for block in content.blocks:
                self.outline.add(block.text, block.kind)
            return []
        if words := one_line(text):
            run.append(f"{name}: {words}")
        return run

    def _end(self, run: list[str]) -> None:
        if run:
            self.outline.add("\n".join(run), "table")


def _title_of(element: Any) -> str:
    titled = (child for child in element if isinstance(child.tag, str) and local(child) in _TITLES)
    return next((one_line(" ".join(child.itertext())) for child in titled), "")


def _attributes(element: Any, every: bool) -> list[tuple[str, str]]:
    """Attributes written by a person: with spaces or letters of other scripts. Ids and numbers beside a text mean
    nothing by themselves; for an element that consists of attributes, `every` one counts."""
    said = ((key, one_line(value)) for key, value in element.attrib.items())
    return [(key, value) for key, value in said if value and (every or " " in value or not value.isascii())]


def _is_mixed(element: Any, children: list[Any]) -> bool:
    """Whether text and elements alternate, as in a paragraph."""
    return bool(children) and bool((element.text or "").strip() or any((c.tail or "").strip() for c in children))
