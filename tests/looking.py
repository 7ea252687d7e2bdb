"""A machine that answers: it looks again and again, and ends with an error as soon as it sees half a source.

`python -m tests.looking HOME COUNTER`: all chunks of a document must be there and be of one version. Each look
adds a byte to COUNTER.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from kb_assistant.errors import LostConnection
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings

PARTS = 4
"""Paragraphs of a document; each is a chunk."""


def document(number: int, version: int) -> str:
    """A document, each of whose chunks names its version."""
    return "\n\n".join(
        f"Valve {number} of version v{version} in part {part} " + f"word{number}x{part} " * 20
        for part in range(PARTS)
    )


def check(kb: KnowledgeBase) -> int:
    """Check what one view holds. Returns its generation."""
    with kb.store.read() as snapshot:
        for source in snapshot.sources():
            bodies = [chunk.text.body for chunk in snapshot.chunks_of_source(source.path)]
            versions = {
                word for body in bodies for word in body.split() if word.startswith("v") and word[1:].isdigit()
            }
            assert len(bodies) == source.chunks, (source.path, len(bodies), source.chunks)
            assert len(versions) == 1, (source.path, versions)
        generation = snapshot.revision
    for hit in kb.search("Valve 3 in part 2", 5):
        assert hit.text.startswith("Valve "), hit
    return generation


def main(home: Path, counter: Path) -> None:
    last = -1
    while True:
        with suppress(LostConnection), KnowledgeBase(Settings.load(home=home), embedder=HashEmbeddings()) as kb:
            while True:
                generation = check(kb)
                assert generation >= last, "an older state than before"
                last = generation
                with counter.open("ab") as file:
                    file.write(b".")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
