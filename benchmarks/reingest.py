"""An ingest of a folder; and a second one, which finds nothing changed, against 2 s and against hashing alone.

Of the first the processor time is told, of the process that splits, indexes and stores, and of those that read:
they work side by side, so that the larger of both, and half of the sum on two cores, are the least that it takes.
The digest is that of all that is stored but vectors and times: a change that only makes it quicker keeps it.

Every file is read and hashed each time, because names, sizes and dates can lie. The peer is just that: all bytes
of the same files through SHA-256. Embedding is left out (random vectors); it plays no part in a second ingest.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import os
import pstats
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

from measure import in_turns, quantile, report, seconds
from vectors import RandomEmbeddings

from ingest.discover import discover
from kb_assistant import KnowledgeBase, Settings
from kb_assistant.embedding.local import LocalEmbeddings

LIMIT_S = 2.0


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="kb-reingest-") as home:
        embedder = cast(LocalEmbeddings, RandomEmbeddings())
        with KnowledgeBase(Settings.load(home=arguments.home or Path(home)), embedder=embedder) as kb:
            run(kb, arguments)


def run(kb: KnowledgeBase, arguments: argparse.Namespace) -> None:
    def again() -> None:
        changed = [row for row in kb.ingest(arguments.folder).files if row.status not in ("unchanged", "failed")]
        if changed:
            raise SystemExit(f"{len(changed)} files changed meanwhile, {changed[0].path} for one.")

    before = os.times()
    first = seconds(lambda: kb.ingest(arguments.folder))
    after = os.times()
    files = [item.path for item in discover(arguments.folder) if not (item.ignored or item.unsupported)]
    size = sum(file.stat().st_size for file in files)
    ours, peer = in_turns([again, lambda: [sha256(file) for file in files]], arguments.rounds)
    chunks = kb.status()["chunks"]
    parent, readers = sum(after[:2]) - sum(before[:2]), sum(after[2:4]) - sum(before[2:4])
    row = {"s": first, "CPU s": parent, "CPU s of readers": readers, "digest": digest(kb)[:16]}
    report("First ingest, embedding left out", [row], arguments.json)
    print_times(f"{len(files):,} files, {size / 1e6:.1f} MB, {chunks:,} chunks", len(files), first, ours, peer,
                arguments.json)  # fmt: skip
    if arguments.profile:
        profile = cProfile.Profile()
        profile.runcall(again)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def print_times(what: str, files: int, first: float, ours: list[float], peer: list[float], as_json: bool) -> None:
    rows = [
        {"work": "first ingest, embedding left out", "median s": first, "min s": first, "files/s": files / first},
        *(
            {
                "work": name,
                "median s": quantile(times, 0.5),
                "min s": min(times),
                "files/s": files / quantile(times, 0.5),
            }
            for name, times in (("second ingest", ours), ("reading and hashing alone", peer))
        ),
    ]
    report(what, rows, as_json)
    median = quantile(ours, 0.5)
    ratios = [
        {"ratio": f"second ingest / limit of {LIMIT_S:g} s", "median": median / LIMIT_S},
        {"ratio": "second ingest / hashing alone", "median": median / quantile(peer, 0.5)},
    ]
    report("Ratios", ratios, as_json)


def digest(kb: KnowledgeBase) -> str:
    """SHA-256 of the sources, and of their chunks with texts and words."""
    hashed = hashlib.sha256()
    with kb.store.read() as snapshot:
        for source in snapshot.sources():
            hashed.update(repr(replace(source, ingested_at="")).encode())
            chunks = snapshot.chunks_of_source(source.path)
            words = snapshot.document_terms([chunk.text_id for chunk in chunks])
            for chunk in chunks:
                hashed.update(repr((chunk.id, chunk.text, chunk.locator, words[chunk.text_id])).encode())
    return hashed.hexdigest()


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a tree of documents")
    parser.add_argument("--rounds", type=int, default=5, help="second ingests (default %(default)s)")
    parser.add_argument("--home", type=Path, help="keep the knowledge base here, and use it again if it is there")
    parser.add_argument("--profile", action="store_true", help="also show what a second ingest spends its time on")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
