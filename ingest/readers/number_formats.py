"""What the cells of an XLSX workbook show where the number alone says less: percents, money, numbers with zeros in
front (ECMA-376 Part 1, 18.8.30 and 18.8.31). Dates are left to the reader, which gives them as 2024-05-31."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.readers.archive import inside, xml

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
# Formats that workbooks use without writing them down; those of money depend on the country and are left out.
_BUILT_IN = {9: "0%", 10: "0.00%"}
_MONEY = re.compile(r"\[\$([^\]-]+)[^\]]*\]|([$€¥£₩₹元])")
_QUOTED = re.compile(r'"([^"]*)"|\\(.)')
_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_UNCOMPUTED = re.compile(rb"(?:</f>|<f\b[^>]*/>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")


class Format(NamedTuple):
    """How a number is written: before and behind it, its decimals, at least so many digits in front."""

    before: str = ""
    behind: str = ""
    decimals: int = 0
    digits: int = 1
    factor: int = 1

    def shown(self, number: float) -> str:
        scaled = abs(number * self.factor)
        grouped = f"{scaled:,.{self.decimals}f}" if self.before or self.behind.strip() not in ("", "%") else ""
        body = grouped or f"{scaled:0{self.digits + self.decimals + bool(self.decimals)}.{self.decimals}f}"
        minus = "-" if number < 0 and body.strip("0.,") else ""
        return f"{minus}{self.before}{body}{self.behind}"


Place = tuple[int, int]
"""Row and column, from 0."""


class Looks:
    """How the cells of a workbook look; nothing at all where the archive doesn't tell."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self._styles = dict(enumerate(self._read_styles()))
        self._members = self._read_members()

    def formats(self, sheet: str) -> Mapping[Place, Format]:
        """The formats of a sheet's cells, where they change what is read."""
        wanted = {str(index): shape for index, shape in self._styles.items() if shape}
        if not wanted or sheet not in self._members:
            return {}
        found: dict[Place, Format] = {}
        for _, cell in _each(self._archive, self._members[sheet]):
            shape = wanted.get(cell.get("s", ""))
            place = _CELL.fullmatch(cell.get("r", ""))
            if shape and place:
                found[int(place[2]) - 1, _column(place[1])] = shape
            cell.clear()
        return found

    def uncomputed(self, sheet: str) -> int:
        """Formulas without a value: the program that wrote the file left them to be computed."""
        member = self._members.get(sheet)
        return len(_UNCOMPUTED.findall(self._archive.read(member))) if member else 0

    def _read_styles(self) -> Iterator[Format | None]:
        if "xl/styles.xml" not in self._names:
            return
        root = xml(self._archive.read("xl/styles.xml"), recover=True)
        codes = {one.get("numFmtId"): one.get("formatCode", "") for one in root.iter(f"{_MAIN}numFmt")}
        for style in root.iterfind(f"{_MAIN}cellXfs/{_MAIN}xf"):
            number = style.get("numFmtId", "0")
            built_in = _BUILT_IN.get(int(number), "") if number.isdecimal() else ""
            yield parsed(codes.get(number, built_in))

    def _read_members(self) -> dict[str, str]:
        """Names of the members by those of the sheets."""
        if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= self._names:
            return {}
        links = {
            link.get("Id"): inside("xl/workbook.xml", link.get("Target", "")).lstrip("/")
            for link in xml(self._archive.read("xl/_rels/workbook.xml.rels"), recover=True)
            if isinstance(link.tag, str)
        }
        sheets = xml(self._archive.read("xl/workbook.xml"), recover=True).iter(f"{_MAIN}sheet")
        members = {sheet.get("name", ""): links.get(sheet.get(_LINK_ID), "") for sheet in sheets}
        return {name: member for name, member in members.items() if member in self._names}


def parsed(code: str) -> Format | None:
    """The format for positive numbers, where it shows more than the number: percent, money, zeros in front."""
    code = code.split(";")[0]
    money = _MONEY.search(_QUOTED.sub(lambda match: match[1] or match[2] or "", code))
    bare = _MONEY.sub("", re.sub(r"\[[^\]$][^\]]*\]|[_*].", "", _QUOTED.sub("", code))).strip()
    whole, _, fraction = bare.rstrip("% ").partition(".")
    if re.search(r"[^0#?,. %]", bare) or not re.search("[0#?]", bare):
        return None
    decimals = len(re.findall("[0#?]", fraction))
    if bare.endswith("%"):
        return Format(behind="%", decimals=decimals, factor=100)
    if money:
        sign = money[1] or money[2]
        first = re.search("[0#?]", code)
        in_front = first is not None and sign in code[: first.start()]
        return Format(sign if in_front else "", "" if in_front else f" {sign}", decimals)
    zeros = whole.count("0")
    return Format(digits=zeros, decimals=decimals) if zeros > 1 and "," not in whole else None


def _each(archive: zipfile.ZipFile, member: str) -> Iterator[tuple[str, Any]]:
    from lxml import etree

    with archive.open(member) as file:
        yield from etree.iterparse(
            file, tag=f"{_MAIN}c", resolve_entities=False, no_network=True, load_dtd=False, recover=True
        )


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
