"""Seconds that the answer reader takes: for twenty full passages, and in a search with and without it.

    python benchmarks/reader.py --home DIR --questions FILE

DIR holds a knowledge base and multilingual-e5-small; FILE has a question a line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from kb_assistant import KnowledgeBase
from kb_assistant.reader.inputs import LONGEST

PASSAGES, ROUNDS = 20, 5
SENTENCE = "The pump station in the harbour was built in 1871 by Marta Keel and repaired twice. "


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    questions = [line for line in options.questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    with KnowledgeBase.open(home=options.home, answer_reader_seconds=60) as kb:
        reader = kb.reader
        if reader is None:
            parser.error("multilingual-e5-small isn't installed there")
        loading = seconds(lambda: reader.read("who built it?", [("", SENTENCE)]))
        # Each passage fills one input.
        passages = [("Harbour", (SENTENCE * LONGEST)[: 4 * LONGEST])] * PASSAGES
        full = statistics.median(seconds(lambda: reader.read("who built it?", passages)) for _ in range(ROUNDS))
        kb.retrieve(questions[0])
        times: dict[bool, list[float]] = {False: [], True: []}
        for question in questions:
            kb.retrieve(question)  # so that its vector is remembered in both
            for read in (False, True):
                times[read].append(seconds(lambda question=question, read=read: kb.retrieve(question, read=read)))
    found = {"load": loading, "twenty full passages": full} | {
        f"search{', read' if read else ''}, {name}": value
        for read, values in times.items()
        for name, value in (("p50", statistics.median(values)), ("p95", statistics.quantiles(values, n=20)[-1]))
    }
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24} {1000 * value:8.0f} ms")


if __name__ == "__main__":
    main()
