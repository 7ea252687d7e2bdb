"""Questions that only a file's name, or a date or quantity in another form, tells apart: how often is the right
document first, and does the quoted answer hold the fact, as it is and without what reads names and forms?

python benchmarks/names_and_dates.py HOME

HOME has the models. The documents are made here, alike but for what the questions name, so that words and meaning
say nothing: 20 notes named by what they are on, and 48 entries of a log with dates and weights in several forms.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from measure import report

from kb_assistant import KnowledgeBase
from kb_assistant.text import analyzer

Asked = tuple[str, str, str]
"""A question, the fact, and the name of the right file."""

THINGS = [
    f"{place} {thing}" for place in ("front", "back", "garden", "cellar") for thing in ("gate", "door", "lamp")
]
PEOPLE = "张伟 李娜 王芳 刘洋 陈静 杨帆 赵敏 黄磊".split()
COLOURS = "red green blue white grey black brown yellow cream orange violet pink".split()
MONTHS = "January February March April May June July August September October November December".split()
NAMES = "Ida Omar Lena Tom Mira Jan Eva Nils Ruta Colin Hanne Edwin".split()


def notes(folder: Path) -> Iterator[Asked]:
    """Notes whose texts don't say what they are on: their names do."""
    for number, (thing, colour) in enumerate(zip(THINGS, COLOURS, strict=True)):
        name = f"{thing.capitalize()}.md"
        (folder / name).write_text(f"Painted {colour} in {2001 + number}. Two coats, repaired once.\n")
        yield f"What colour is the {thing}?", colour, name
        yield f"{thing} painted when", str(2001 + number), name
    for number, person in enumerate(PEOPLE, start=3):
        name = f"{person}合同.md"
        (folder / name).write_text(f"合同期限三年，月薪{number}千元，试用期{number}个月。\n", encoding="utf-8")
        yield f"{person}的月薪是多少？", f"{number}千元", name
        yield f"{person}试用期多长", f"{number}个月", name


def log(folder: Path) -> Iterator[Asked]:
    """Entries of a log, each of its own file, told apart by date and weight alone."""
    days = itertools.cycle((3, 11, 19, 27))
    for number, (month, name) in enumerate(zip(MONTHS * 4, itertools.cycle(NAMES[:11]))):
        year, day, kilos = 2022 + number // 12, next(days), f"{number + 2}.5"
        m = MONTHS.index(month) + 1
        written = [
            f"{year}-{m:02}-{day:02}",
            f"{day} {month} {year}",
            f"{year}年{m}月{day}日",
            f"{month} {day}, {year}",
        ]
        asked = [*written[1:], written[0]][number % 4]
        file = f"{number:03}.md"
        weight = f"{kilos} kg" if number % 2 else f"{kilos}公斤"
        (folder / file).write_text(f"{written[number % 4]}: the boat was cleaned by {name}; {weight} of weed.\n")
        yield f"who cleaned the boat on {asked}?", name, file
        yield f"when was {kilos}{'公斤' if number % 2 else 'kg'} of weed taken", written[number % 4], file


@contextmanager
def without() -> Iterator[None]:
    """Names of files say nothing, and dates and quantities have no other form."""
    with ExitStack() as stack:
        put = stack.enter_context
        put(mock.patch("kb_assistant.store.snapshot.said_by_path", return_value=""))
        put(mock.patch("kb_assistant.retrieval.reading.with_file_name", lambda _path, heading: heading))
        put(mock.patch("kb_assistant.retrieval.named.file_names", return_value=("", "")))
        for name in ("_without_dates", "_without_quantities"):
            put(mock.patch.object(analyzer, name, lambda folded: (folded, [])))
        put(mock.patch.object(analyzer, "_forms", return_value=[]))
        yield


def measured(home: Path, made: Path, name: str, asked: list[Asked]) -> tuple[float, float]:
    """Shares of questions whose right document is first, and whose answer holds the fact."""
    first = held = 0
    with KnowledgeBase.open(name, home=home, model="extract", answer_reader_seconds=60) as kb:
        kb.ingest(made)
        for question, fact, file in asked:
            answer = kb.ask(question)
            held += fact in answer.answer
            first += bool(answer.hits) and Path(answer.hits[0].source).name == file
    return first / len(asked), held / len(asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as work:
        home = Path(work) / "home"
        home.mkdir()
        (home / "models").symlink_to((options.home / "models").resolve())
        for title, make in (("names of files", notes), ("dates and quantities", log)):
            folder = Path(work) / make.__name__
            folder.mkdir()
            asked = list(make(folder))
            with without():
                before = measured(home, folder, f"{make.__name__}-without", asked)
            now = measured(home, folder, make.__name__, asked)
            cells = {"first": now[0], "first, without": before[0], "fact": now[1], "fact, without": before[1]}
            rows.append(
                {"told apart by": title, "questions": len(asked)} | {k: f"{v:.3f}" for k, v in cells.items()}
            )
    report("What names and forms are worth", rows, options.json)


if __name__ == "__main__":
    main()
