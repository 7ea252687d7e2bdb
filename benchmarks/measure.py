"""What the benchmarks share: repeated timings in turns, quantiles, a table or JSON as output."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(works: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Wall times of each piece of work, run in the order A B A B …, so that a slow minute hits all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for taken, work in zip(times, works, strict=True):
            taken.append(seconds(work))
    return times


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values don't exceed; the lowest for 0, the median for 0.5."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(title: str, rows: Sequence[Row], as_json: bool) -> None:
    """Print rows as a table; its columns are the keys of the first row."""
    if as_json:
        print(json.dumps({"benchmark": title, "rows": [dict(row) for row in rows]}, ensure_ascii=False))
        return
    names = list(rows[0])
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    print(f"\n{title}")
    for line in cells:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join((first, *others)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 100
        else f"{value:,.0f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
