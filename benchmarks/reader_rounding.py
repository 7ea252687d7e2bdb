"""How far the reader's logits move by its 8-bit integers, against the same network in float32, on this processor.

    python benchmarks/reader_rounding.py MODELS/multilingual-e5-small sample_docs
    qemu-x86_64 -cpu Haswell $(which python) benchmarks/reader_rounding.py … --avx2     # as on an older processor

QEMU shows the host's /proc/cpuinfo, so that it has to be told.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from kb_assistant.embedding import onnx_int8
from kb_assistant.embedding.onnx_encoder import open_session
from kb_assistant.embedding.shape import Shape
from kb_assistant.reader.graph import ReaderGraph
from kb_assistant.reader.reader import WEIGHTS, Reader, _logits

QUESTIONS = (
    "Who founded the station?",
    "how much is a ticket for kids",
    "观鸟塔什么时候开放？",
    "wifi name",
    "园长是谁",
)
SHORTEST, LONGEST = 80, 600
"""Characters of a passage."""


class FloatGraph(ReaderGraph):
    """The reader without integers."""

    def _linear(self, hidden: str, name: str) -> str:
        weight = self._constant(f"{name} matrix", np.ascontiguousarray(self._matrix(name).T))
        bias = self._constant(f"{name} bias", self._values(f"{name}.bias"))
        return self._node("Add", [self._node("MatMul", [hidden, weight]), bias])


def passages_of(folder: Path, most: int) -> list[str]:
    """Sections of Markdown files, evenly spread."""
    sections = (
        part for file in sorted(folder.rglob("*.md")) for part in re.split(r"\n#+ ", file.read_text("utf-8"))
    )
    found = [section[:LONGEST] for section in sections if len(section) > SHORTEST]
    return [found[place] for place in np.linspace(0, len(found) - 1, min(most, len(found)), dtype=int)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the folder of multilingual-e5-small")
    parser.add_argument("documents", type=Path)
    parser.add_argument("--passages", type=int, default=40)
    parser.add_argument("--avx2", action="store_true", help="the processor doesn't multiply 8-bit integers")
    options = parser.parse_args()
    if options.avx2:
        onnx_int8.multiplies_int8 = lambda: False  # type: ignore[assignment]
    reader, shape = Reader(options.model, threads=1), Shape.read(options.model)
    if shape is None:
        parser.error("another kind of encoder")
    inputs = [
        made.ids
        for place, text in enumerate(passages_of(options.documents, options.passages))
        for windows in reader._encoder.encode(QUESTIONS[place % len(QUESTIONS)], (), [("", text)])
        for made in windows
    ]

    def logits(graph: type[ReaderGraph]) -> list[NDArray[np.float32]]:
        session = open_session(graph(options.model, shape, load_file(WEIGHTS)), options.model, threads=1)
        return [_logits(session, ids) for ids in inputs]

    pairs = list(zip(logits(ReaderGraph), logits(FloatGraph), strict=True))
    judged = np.concatenate([(one - other)[0, :2] for one, other in pairs])
    spans = np.concatenate([(one - other)[:, 2:].ravel() for one, other in pairs])
    kinds = {"relevance and answer": judged, "first and last": spans}
    told = {
        name: {"rms": round(float(np.sqrt((moved**2).mean())), 3), "largest": round(float(np.abs(moved).max()), 3)}
        for name, moved in kinds.items()
    }
    print(json.dumps({"windows": len(inputs), **told}, indent=1))


if __name__ == "__main__":
    main()
