"""How soon a change in a watched folder is in the answers: from the file's closing to the search that finds it.

One process watches, this one searches again and again, as a chat in another window would. Files are added, changed
and deleted in turns, in a folder that already holds some. Limit 2 s.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import cast

from measure import quantile, report
from vectors import RandomEmbeddings

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.embedding.local import LocalEmbeddings

LIMIT_S = 2.0
_PATIENCE = 60.0


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="kb-watch-") as scratch:
        docs, home = Path(scratch) / "docs", arguments.home or Path(scratch) / "home"
        docs.mkdir()
        for number in range(arguments.files):
            (docs / f"still{number}.md").write_text(f"Valve {number} belongs to circuit {number * 7}.")
        ready, stop = multiprocessing.Event(), multiprocessing.Event()
        watcher = multiprocessing.Process(target=watch, args=(docs, home, bool(arguments.home), ready, stop))
        watcher.start()
        try:
            ready.wait()
            with open_kb(home, bool(arguments.home)) as kb:
                kb.search("valve")
                times = change(kb, docs, arguments.rounds)
        finally:
            stop.set()
            watcher.join()
    rows = [
        {"what": what, "p50 s": quantile(taken, 0.5), "p95 s": quantile(taken, 0.95), "max s": max(taken),
         "max / limit": max(taken) / LIMIT_S}
        for what, taken in times.items()
    ]  # fmt: skip
    report(f"From closing a file to finding it, {arguments.files} other files", rows, arguments.json)


def open_kb(home: Path, real: bool) -> KnowledgeBase:
    """With the embedder that is installed in a home of the user's, else with random vectors."""
    settings = Settings(home=home, kb="benchmark-watch")
    return KnowledgeBase(settings, embedder=None if real else cast(LocalEmbeddings, RandomEmbeddings()))


def watch(docs: Path, home: Path, real: bool, ready: Event, stop: Event) -> None:
    with open_kb(home, real) as kb:
        for _ in kb.watch(docs, stop=stop.is_set):
            ready.set()


def change(kb: KnowledgeBase, docs: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds that each kind of change took."""
    times: dict[str, list[float]] = {"added": [], "changed": [], "deleted": []}
    for number in range(rounds):
        path = docs / f"new{number}.md"

        def write(text: str, path: Path = path) -> None:
            path.write_text(text)

        first, second = f"lighthouse{number}a", f"lighthouse{number}b"
        times["added"].append(until(lambda: write(f"The {first} is here."), kb, first, True))  # noqa: B023
        times["changed"].append(until(lambda: write(f"The {second} is here."), kb, second, True))  # noqa: B023
        times["deleted"].append(until(path.unlink, kb, second, False))
    return times


def until(act: Callable[[], object], kb: KnowledgeBase, word: str, found: bool) -> float:
    """Seconds from the act to the first search that finds the word, or doesn't any more."""
    act()
    started = time.perf_counter()
    while any(word in hit.text for hit in kb.search(word, 5)) != found:
        if time.perf_counter() - started > _PATIENCE:
            raise SystemExit(f"Not seen in {_PATIENCE:g} s.")
        time.sleep(0.02)
    return time.perf_counter() - started


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000, help="files that don't change (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="changes of each kind (default %(default)s)")
    parser.add_argument("--home", type=Path, help="use the embedder of this home instead of random vectors")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
