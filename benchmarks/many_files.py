"""Peak memory of an ingest of many small files, at two sizes: it should hardly grow with their number.

Each size runs in a process of its own, with random vectors instead of a model's. The peak is that of the process
that runs the ingest; readers are counted apart. The index is made at the end and holds every vector, so what it
adds grows with the number of passages; it is told apart, too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import psutil
from measure import report

_A_FOLDER = 1000
_WORDS = "valve pump filter circuit ridge station 水泵 阀门 检查 登记".split()


def main() -> None:
    arguments = parse()
    if arguments.one:
        print(json.dumps(ingest(arguments.one, arguments.home)))
        return
    rows = [measured(count) for count in arguments.files]
    report("Ingest of small files, embedding left out", rows, arguments.json)
    first, last = rows[0], rows[-1]
    ratios = [
        {"what": "peak before the index, last / first", "ratio": last["peak MB"] / first["peak MB"]},
        {
            "what": "bytes that each further file adds",
            "ratio": 1e6 * (last["peak MB"] - first["peak MB"]) / (last["files"] - first["files"]),
        },
    ]
    report("Growth", ratios, arguments.json)


def measured(count: int) -> dict[str, Any]:
    """A row of the table, by a process of its own."""
    with tempfile.TemporaryDirectory(prefix="kb-many-files-") as scratch:
        docs = Path(scratch) / "docs"
        write_files(docs, count)
        command = [sys.executable, __file__, "--one", str(docs), "--home", f"{scratch}/home"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        return {"files": count, **json.loads(done.stdout)}


def write_files(docs: Path, count: int) -> None:
    """Markdown files of one passage each, all different."""
    for number in range(count):
        folder = docs / f"{number // _A_FOLDER:04}"
        if number % _A_FOLDER == 0:
            folder.mkdir(parents=True)
        words = " ".join(_WORDS[(number >> shift) % len(_WORDS)] for shift in range(0, 30, 2))
        (folder / f"{number}.md").write_text(f"# File {number}\n\n{words}, item {number} of {count}.\n")


def ingest(docs: str, home: str) -> dict[str, float]:
    """Ingest the folder twice and say how long it took and how much memory."""
    from vectors import RandomEmbeddings

    from kb_assistant import KnowledgeBase, Settings
    from kb_assistant.embedding.local import LocalEmbeddings

    peak = 0.0
    readers = 0.0

    def note(now: Any) -> None:
        nonlocal peak, readers
        peak = own_peak()
        if now.files % 500 == 0:
            children = psutil.Process().children()
            readers = max([readers, *(child.memory_info().rss / 1e6 for child in children)])

    with KnowledgeBase(Settings(home=Path(home)), embedder=cast(LocalEmbeddings, RandomEmbeddings())) as kb:
        before, started = own_peak(), time.monotonic()
        first = kb.ingest(docs, on_progress=note)
        seconds = time.monotonic() - started
        with_index = own_peak()
        again = kb.ingest(docs)
    assert first.added == again.unchanged == len(first.files), list(first)[:3]
    return {
        "before MB": before,
        "peak MB": peak,
        "with index MB": with_index,
        "largest reader MB": readers,
        "files/s": first.added / seconds,
        "again, files/s": again.unchanged / again.seconds,
    }


def own_peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs=2, default=[1000, 100_000], help="two sizes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
