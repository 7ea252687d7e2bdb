"""Office Open XML packages (DOCX, PPTX, XLSX): their parts and the links between them (ECMA-376 Part 2).

A package in the strict form is read like one in the transitional form; missing pictures or styles don't matter.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from typing import IO, Any, NamedTuple

from ingest.readers.blocks import one_line
from ingest.readers.zip_container import inside, xml
from kb_assistant.messages import _

_DC = "{http://purl.org/dc/elements/1.1/}"
_TERMS = "{http://purl.org/dc/terms/}"
_CP = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_USUAL = rb"http://schemas.openxmlformats.org/\1/2006/"
# Errors of a member that is missing, truncated, compressed in an unknown way, or not XML.
_DAMAGE = (ValueError, LookupError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Link(NamedTuple):
    """A link of a part: the last word of its type, such as `chart`, and the target part of the package."""

    kind: str
    target: str


class Package:
    """Parts by name, ignoring case.

    Attributes:
        notes: Notes on damaged parts that were left out or read as far as possible, a sentence each.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {_key(name): name for name in archive.namelist()}
        self.notes: list[str] = []
        self._links: dict[str, dict[str, Link]] = {}

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._members

    def part(self, name: str) -> bytes:
        """The bytes of a part. Raises KeyError if it is missing, and zipfile's errors if it is damaged."""
        return self._archive.read(self._members[_key(name)])

    def stream(self, name: str) -> IO[bytes]:
        """Like part(), as a stream."""
        return self._archive.open(self._members[_key(name)])

    def root(self, name: str) -> Any:
        """Root element of a part, in the usual namespaces.

        Raises:
            KeyError: the part is missing.
            ValueError: it has no readable content.
        """
        data = _STRICT.sub(_USUAL, self.part(name))
        try:
            return xml(data)
        except ValueError:
            root = xml(data, recover=True)
            self.notes.append(
                _("A part of the file is damaged ({name}); what can be read of it is in the index.", name=name)
            )
            return root

    def optional_part(self, name: str) -> bytes | None:
        """An optional part; None, and a note, if it is missing or damaged."""
        try:
            return self.part(name)
        except _DAMAGE:
            self._leave_out(name)
            return None

    def optional_root(self, name: str) -> Any | None:
        """Root element of an optional part; None, and a note, if it has no readable content."""
        try:
            return self.root(name)
        except _DAMAGE:
            self._leave_out(name)
            return None

    def linked_roots(self, kind: str, name: str = "") -> list[Any]:
        """Root elements of the readable parts that a part links to by links of a kind."""
        roots = map(self.optional_root, self.linked(kind, name))
        return [root for root in roots if root is not None]

    def _leave_out(self, name: str) -> None:
        self.notes.append(_("A part of the file is damaged ({name}) and was left out.", name=name))

    def links(self, name: str = "") -> dict[str, Link]:
        """The links of a part, or of the package itself, by id; none if they are damaged."""
        if name not in self._links:
            self._links[name] = self._read_links(name)
        return self._links[name]

    def _read_links(self, name: str) -> dict[str, Link]:
        folder, file = posixpath.split(name)
        member = posixpath.join(folder, "_rels", f"{file}.rels")
        root = self.optional_root(member) if member in self else None
        if root is None:
            return {}
        return {
            link.get("Id", ""): Link(
                link.get("Type", "").rpartition("/")[2], inside(name, link.get("Target", "")).lstrip("/")
            )
            for link in root
            if isinstance(link.tag, str) and link.get("TargetMode") != "External"
        }

    def linked(self, kind: str, name: str = "") -> list[str]:
        """The existing parts that a part links to by links of a kind."""
        return [link.target for link in self.links(name).values() if link.kind == kind and link.target in self]


def properties(package: Package) -> dict[str, Any]:
    """The document's own metadata: `title`, `author`, `date`, `tags`, if present and undamaged."""
    said: dict[str, str] = {}
    for root in package.linked_roots("core-properties")[:1]:
        said = {element.tag: element.text or "" for element in root if isinstance(element.tag, str)}
    changed = said.get(f"{_TERMS}modified") or said.get(f"{_TERMS}created") or ""
    found = {
        "title": one_line(said.get(f"{_DC}title", "")),
        "author": one_line(said.get(f"{_DC}creator", "")),
        "date": changed[:10] if _DATE.match(changed) else "",
        "tags": [tag for word in re.split("[,;，；]", said.get(f"{_CP}keywords", "")) if (tag := one_line(word))],
    }
    return {name: value for name, value in found.items() if value}


def number(said: str | None, otherwise: int = 0) -> int:
    """The number in an attribute; `otherwise` if it isn't a number, or larger than documents need."""
    return int(said) if said and said.isascii() and said.isdigit() and len(said) < 6 else otherwise


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
