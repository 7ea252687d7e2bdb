"""Number formats of XLSX cells that say more than the number: percentages, money, leading zeros (ECMA-376 Part 1,
18.8.30 and 18.8.31). The reader formats dates as 2024-05-31."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from ingest.readers.office.ooxml import Package

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
# Built-in formats, which workbooks use without defining them; currencies depend on the country and are omitted.
_BUILT_IN = {9: "0%", 10: "0.00%"}
_MONEY = re.compile(r"\[\$([^\]-]+)[^\]]*\]|([$€¥£₩₹元])")
_QUOTED = re.compile(r'"([^"]*)"|\\(.)')
_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_ROW = re.compile(rb'<row\b[^<>]*?\br="(\d{1,12})"')
_FILLED = re.compile(rb'<c\b[^<>]*?\br="([A-Z]{1,3})(\d{1,12})"[^<>]*(?<!/)>(?!</c>)')
_MOST_COLUMNS = 16_384
_MOST_STRONG = 200_000
_HARMLESS_AREA = 20_000_000
_UNCOMPUTED = re.compile(rb"(?:</f>|<f\b[^<>]*/>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")


class Format(NamedTuple):
    """The format of a number: prefix and suffix, decimals, least digits before the decimal point."""

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


CellPosition = tuple[int, int]
"""Row and column, from 0."""


class CellLooks(NamedTuple):
    """How a sheet's cells look: formats that change the text read, and which cells are in bold."""

    formats: Mapping[CellPosition, Format]
    strong: AbstractSet[CellPosition]


class CellFormats:
    """The cell formats of a workbook; none if the archive doesn't give them."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._book = next(iter(package.linked("officeDocument")), "xl/workbook.xml")
        self._bold: set[str] = set()
        self._styles = dict(enumerate(self._read_styles()))
        self._parts = self._read_parts()

    def looks(self, sheet: str) -> CellLooks:
        """The formats of a sheet's cells that change the text read, and its cells in bold."""
        wanted = {str(index): shape for index, shape in self._styles.items() if shape}
        if sheet not in self._parts or not (wanted or self._bold):
            return CellLooks({}, frozenset())
        formats: dict[CellPosition, Format] = {}
        strong: set[CellPosition] = set()
        for _, cell in _each(self._package, self._parts[sheet]):
            style = cell.get("s", "")
            if (style in wanted or style in self._bold) and (place := position_of(cell.get("r", ""))):
                if style in wanted:
                    formats[place] = wanted[style]
                if style in self._bold and len(strong) < _MOST_STRONG:
                    strong.add(place)
            cell.clear()
        return CellLooks(formats, strong)

    def uncomputed(self, sheet: str) -> int:
        """Formulas without a value, which the writing program didn't compute."""
        part = self._parts.get(sheet)
        return len(_UNCOMPUTED.findall(self._package.part(part))) if part else 0

    def part_of(self, sheet: str) -> str:
        """Name of the sheet's part; empty if the package doesn't give it."""
        return self._parts.get(sheet, "")

    def spans(self, sheet: str) -> tuple[int, int]:
        """Upper bound of a sheet's rows and columns: a few cells far apart make it large."""
        part = self._parts.get(sheet)
        data = self._package.part(part) if part else b""
        rows = max((int(row) for row in _ROW.findall(data[data.rfind(b"<row") :])), default=0)
        if rows * _MOST_COLUMNS <= _HARMLESS_AREA:
            return rows, _MOST_COLUMNS
        letters: set[bytes] = set()
        rows = 0
        for match in _FILLED.finditer(data):
            letters.add(match[1])
            rows = max(rows, int(match[2]))
        return rows, max((_column(one.decode()) + 1 for one in letters), default=0)

    def _read_styles(self) -> Iterator[Format | None]:
        for name in self._package.linked("styles", self._book)[:1]:
            root = self._package.root(name)
            codes = {one.get("numFmtId"): one.get("formatCode", "") for one in root.iter(f"{_MAIN}numFmt")}
            bold = [_is_on(font.find(f"{_MAIN}b")) for font in root.iterfind(f"{_MAIN}fonts/{_MAIN}font")]
            for index, style in enumerate(root.iterfind(f"{_MAIN}cellXfs/{_MAIN}xf")):
                font = style.get("fontId", "")
                if font.isdecimal() and len(font) < 6 and int(font) < len(bold) and bold[int(font)]:
                    self._bold.add(str(index))
                number = style.get("numFmtId", "0")
                built_in = _BUILT_IN.get(int(number), "") if number.isdecimal() else ""
                yield parsed(codes.get(number, built_in))

    def _read_parts(self) -> dict[str, str]:
        """Names of the parts by sheet name."""
        if self._book not in self._package or not self._book.lower().endswith(".xml"):
            return {}
        links = self._package.links(self._book)
        sheets = self._package.root(self._book).iter(f"{_MAIN}sheet")
        found = {sheet.get("name", ""): links.get(sheet.get(_LINK_ID) or "") for sheet in sheets}
        return {name: link.target for name, link in found.items() if link and link.target in self._package}


def parsed(code: str) -> Format | None:
    """The format for positive numbers, if it shows more than the number: percent, money, leading zeros."""
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


def _each(package: Package, part: str) -> Iterator[tuple[str, Any]]:
    from lxml import etree

    with package.stream(part) as file:
        yield from etree.iterparse(
            file, tag="{*}c", resolve_entities=False, no_network=True, load_dtd=False, recover=True
        )


def _is_on(mark: Any) -> bool:
    return mark is not None and mark.get("val") not in ("0", "false")


def position_of(name: str) -> CellPosition | None:
    """The position of a cell from its name, such as B3."""
    match = _CELL.fullmatch(name)
    return (int(match[2]) - 1, _column(match[1])) if match else None


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
