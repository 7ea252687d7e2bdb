"""Tables without ruling lines in PDFs: rows found by the PDF reader, by pdfplumber and by Camelot.

    pip install pdfplumber camelot-py
    python benchmarks/aligned_tables.py FOLDER

FOLDER holds the real documents (`files/` of the folder that benchmarks/realfiles.py takes). Documents of our own
are made here. Counted are rows whose cells are right, without white space, and tables on pages that have none. A
tool that isn't installed is left out.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).parent.parent))

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from ingest.readers import read

Rows = list[tuple[str, ...]]
Tool = Callable[[Path, int], list[Rows]]

REAL: dict[tuple[str, int], Sequence[str]] = {
    ("multi-column.pdf", 4): ["TriviaQA|78,785|60,413|8,837|11,313", "WebQuestions|3,417|2,474|361|2,032"],
    ("multi-column.pdf", 6): [
        "Type|#N|IB|Top-5|Top-20|Top-100",
        "BM25|7|✗|50.0|63.3|74.8",
        "Gold|7|✗|42.6|63.1|78.3",
    ],
    ("multi-column.pdf", 8): [
        "Training|Model|NQ|TriviaQA|WQ|TREC|SQuAD",
        "Single|HardEM(Minetal.,2019a)|28.1|50.9|-|-|-",
    ],
    ("react_paper.pdf", 8): ["Act(bestof6)|88|42|74|67|72|41|45", "Method|AvgScore|Success", "IL+RL|62.4|28.7"],
    ("tracemonkey.pdf", 8): ["Tag|JSType|Description", "010|number|pointertodoublehandle"],
    ("tracemonkey.pdf", 12): [
        "3d-cube|25|27|29|3|0|1.1|1.1|1.2|2.20x",
        "3d-raytrace|10|25|100|10|1|2.5|4.0|10.0|1.18x",
    ],
    ("issue-461-example.pdf", 1): [
        "项目|检验方法|提示|结果|单位|参考范围",
        "白细胞计数(WBC)|仪器法|↓|3.9|E+9/L|[4.0-10.0]",
    ],
    ("issue-71-duplicate-chars.pdf", 2): ["微软公司的|2019年11月", "计算机|2019年12月"],
    ("GeoBase_NHNC1_Data_Model_UML_EN.pdf", 5): ["LRS|LinearReferenceSystem", "NID|NationalIdentifier"],
}
PROSE = [
    ("test.pdf", 1), ("pdflatex-4-pages.pdf", 1), ("pdflatex-4-pages.pdf", 3),
    ("Seige_of_Vicksburg_Sample_OCR.pdf", 1), ("Seige_of_Vicksburg_Sample_OCR.pdf", 4), ("2023-06-20-PV.pdf", 2),
    ("failure-after-repair.pdf", 3), ("failure-after-repair.pdf", 12), ("DA-619p.pdf", 40), ("react_paper.pdf", 3),
    ("tracemonkey.pdf", 2), ("multi-column.pdf", 2), ("invalid-pdf-structure-pdfminer-one-page.pdf", 1),
]  # fmt: skip

_BIRDS = ["Species|Count|Season", "Curlew|214|winter", "Avocet|98|spring", "Dunlin|1,450|autumn", "Ruff|12|spring"]
_STOCK = ["品名|数量|单位|备注", "水泵|12|台|检修中", "阀门|7|个|新购", "水管|230|米|旧", "法兰|64|个|备用"]
_PARTS = [
    "Part|Order no.|Price|Stock",
    "Seal ring|AB-12-34|4.50|112",
    "Flange|AB-12-40|39.00|8",
    "Bolt M8|XK-9200|0.35|2,400",
]
_YEARS = [
    "Works|2021|2022|2023",
    "Upper mill|1,204|1,310|1,288",
    "Lower mill|988|1,002|971",
    "Total|2,192|2,312|2,259",
]
_DAYS = [
    "Montag|8 bis 12 Uhr|geschlossen",
    "Dienstag|8 bis 12 Uhr|14 bis 18 Uhr",
    "Mittwoch|geschlossen|14 bis 16 Uhr",
]
_GAPS = ["Room|Monday|Tuesday|Friday", "101|chemistry||biology", "102||physics|physics", "103|history|history|"]
_TEXT = "The estuary was counted at low tide by two people who walked along the river"
OWN: dict[str, tuple[Sequence[str], Sequence[float], str, bool]] = {
    "left": (_BIRDS, (72, 220, 340), "lll", False),
    "numbers to the right": (_BIRDS, (72, 280, 340), "lrl", False),
    "centred": (_BIRDS, (120, 280, 420), "ccc", False),
    "column by column": (_PARTS, (72, 200, 360, 460), "llrr", True),
    "Chinese": (_STOCK, (72, 180, 260, 340), "llll", False),
    "years": (_YEARS, (72, 260, 350, 440), "lrrr", False),
    "no names": (_DAYS * 2, (72, 200, 340), "lll", False),
    "empty cells": (_GAPS * 2, (72, 160, 260, 360), "llll", False),
    "narrow gaps": (_YEARS, (72, 165, 205, 245), "lrrr", False),
}
NOT: dict[str, tuple[Sequence[str], Sequence[float], str, bool]] = {
    "prose in two columns": ([f"{_TEXT[:44]}|{_TEXT[30:74]}"] * 20, (50, 320), "ll", True),
    "numbered list": ([f"{n}.|{_TEXT[n : 60 + n]}" for n in range(1, 15)], (72, 100), "ll", False),
    "contents": (
        [f"{n}.{n}  {_TEXT[n : 40 + n]} {'.' * (40 - n)} {n * 7}" for n in range(1, 9)],
        (72,),
        "l",
        False,
    ),
}


def drawn(rows: Sequence[str], places: Sequence[float], align: str, by_column: bool) -> bytes:
    """A page with the cells at these places, left, right or centred; a paragraph above."""
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer)
    sheet.setFont("STSong-Light", 10)
    sheet.drawString(72, 760, f"{_TEXT}.")
    cells = [(c, r, cell) for r, row in enumerate(rows) for c, cell in enumerate(row.split("|")) if cell]
    for column, row, cell in sorted(cells) if by_column else cells:
        draw = {"l": sheet.drawString, "r": sheet.drawRightString, "c": sheet.drawCentredString}[align[column]]
        draw(places[column], 720 - 15 * row, cell)
    sheet.save()
    return buffer.getvalue()


def ours(path: Path, page: int) -> list[Rows]:
    blocks = read(path.name, path.read_bytes()).blocks
    return [
        [(*line.split("\t")[:-1], line.split("\t")[-1].partition(" (")[0]) for line in block.text.split("\n")]
        for block in blocks
        if block.kind == "table" and block.page == page
    ]


def by_pdfplumber(path: Path, page: int) -> list[Rows]:
    import pdfplumber

    way = {"vertical_strategy": "text", "horizontal_strategy": "text"}
    with pdfplumber.open(path) as document:
        found = document.pages[page - 1].extract_tables(way)
    return [[tuple(cell or "" for cell in row) for row in table] for table in found]


def by_camelot(flavor: str) -> Tool:
    def tables(path: Path, page: int) -> list[Rows]:
        import camelot

        try:
            found = camelot.read_pdf(str(path), pages=str(page), flavor=flavor, suppress_stdout=True)
        except Exception as error:  # it fails on pages without text lines
            print(f"  camelot {flavor} on {path.name}: {error!r}", file=sys.stderr)
            return []
        return [list(table.df.itertuples(index=False, name=None)) for table in found]

    return tables


def same(cells: Iterable[str]) -> tuple[str, ...]:
    """The cells that aren't empty, without white space."""
    return tuple(text for cell in cells if (text := "".join(cell.split())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="real documents")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder: Path = options.folder
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    tools: dict[str, Tool] = {"ours": ours}
    if find_spec("pdfplumber"):
        tools["pdfplumber, text"] = by_pdfplumber
    if find_spec("camelot"):
        tools |= {"Camelot, stream": by_camelot("stream"), "Camelot, network": by_camelot("network")}
    with tempfile.TemporaryDirectory() as scratch:
        wanted: list[tuple[str, Path, int, Sequence[str]]] = []
        for number, (kind, page) in enumerate((OWN | NOT).items()):
            path = Path(scratch) / f"{number}.pdf"
            path.write_bytes(drawn(*page))
            wanted.append((f"own: {kind}", path, 1, page[0] if kind in OWN else []))
        wanted += [(f"{name}, p. {page}", folder / name, page, rows) for (name, page), rows in REAL.items()]
        wanted += [(f"{name}, p. {page}", folder / name, page, []) for name, page in PROSE]
        total = compare(tools, wanted, sys.stderr if options.json else sys.stdout)
    groups = {
        "rows, own documents": (total["own rows"], {tool: total[f"own {tool}"] for tool in tools}),
        "rows, real documents": (total["real rows"], {tool: total[f"real {tool}"] for tool in tools}),
        "tables on pages without any": (total["pages"], {tool: total[f"none {tool}"] for tool in tools}),
    }
    if options.json:
        print(json.dumps({name: {"of": of, **by_tool} for name, (of, by_tool) in groups.items()}, indent=2))
        return
    for name, (of, by_tool) in groups.items():
        print(f"{name}, of {of}:", by_tool)


def compare(
    tools: dict[str, Tool], wanted: Sequence[tuple[str, Path, int, Sequence[str]]], out: TextIO
) -> Counter[str]:
    """Count the right rows of each tool, and tables where there are none, and print them page by page."""
    total: Counter[str] = Counter()
    print(f"{'':58}" + "".join(f"{tool:>19}" for tool in tools), file=out)
    for name, path, page, rows in wanted:
        group = "own" if name.startswith("own") else "real"
        total[f"{group} rows"] += len(rows)
        total["pages"] += not rows
        shown = []
        for tool, tables in tools.items():
            found = [table for table in tables(path, page) if table]
            if rows:
                lines = {same(row) for table in found for row in table}
                right = sum(same(row.split("|")) in lines for row in rows)
                total[f"{group} {tool}"] += right
                shown.append(f"{right} of {len(rows)}")
            else:
                total[f"none {tool}"] += len(found)
                shown.append(f"{len(found)} tables")
        print(f"{name[:57]:58}" + "".join(f"{text:>19}" for text in shown), file=out, flush=True)
    return total


if __name__ == "__main__":
    main()
