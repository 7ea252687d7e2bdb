"""Seconds from starting `kb` in a shell to its first line: a search, and an answer by quotes.

`python benchmarks/cold.py --home DIR [--before CHECKOUT]`: DIR holds a knowledge base that was asked before, so
that its index is made. With another checkout of this repository each command is run by both in turns, and the
ratio is that of this one to the other. Wall time means something on an otherwise idle machine alone; processor
time shifts less.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measure import quantile, report

ROOT = Path(__file__).parents[1]
LIMITS = {"search": 0.8, "ask": 1.5}
QUESTION = "Who founded the Aldersea Station?"


def main() -> None:
    arguments = parse()
    checkouts = [ROOT, *([arguments.before] if arguments.before else [])]
    commands = {
        "search": ["search", QUESTION, "-k", "2"],
        "ask": ["ask", QUESTION, "--model", "extract"],
    }
    rows = []
    for name, words in commands.items():
        taken: list[list[tuple[float, float]]] = [[] for _ in checkouts]
        for round_ in range(arguments.rounds + 1):
            for times, checkout in zip(taken, checkouts, strict=True):
                measured = first_line([*words, "--home", str(arguments.home)], checkout)
                if round_:  # the first one reads the files into memory
                    times.append(measured)
        rows.append(row(name, taken))
    report(f"cold start, {arguments.rounds} rounds, load {os.getloadavg()[0]:.1f}", rows, arguments.json)


def first_line(words: list[str], checkout: Path) -> tuple[float, float]:
    """Wall seconds to the first line, and processor seconds of the whole."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "kb_assistant", *words]
    before = os.times()
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd="/") as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        taken = time.perf_counter() - began
        running.stdout.read()
    if running.returncode or not said:
        raise SystemExit(f"{' '.join(words)} ended with status {running.returncode}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return taken, spent


def row(name: str, taken: list[list[tuple[float, float]]]) -> dict[str, Any]:
    walls, spent = ([quantile([one[part] for one in times], 0.5) for times in taken] for part in (0, 1))
    found: dict[str, Any] = {"command": f"kb {name}", "s": walls[0], "limit": LIMITS[name]}
    found |= {"of the limit": walls[0] / LIMITS[name], "processor s": spent[0]}
    if len(taken) > 1:
        found |= {"before s": walls[1], "to before": walls[0] / walls[1]}
        found |= {"processor s before": spent[1], "processor to before": spent[0] / spent[1]}
    return found


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a home with a knowledge base")
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
