"""How far a text's vector moves with its batch, the engine, and bfloat16; against COSINE_TOLERANCE.

Texts are the lines of files. Each is embedded alone by torch in float32, then in batches, by ONNX Runtime, and
under bfloat16 autocast, which the product doesn't use. Run it again under `env $(python tests/processors.py)` for
another kind of processor; `--save` and `--against` compare two such runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.local import COSINE_TOLERANCE, LocalEmbeddings
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings

Vectors = NDArray[np.float32]


def texts_of(paths: list[Path], most: int) -> list[str]:
    """Lines evenly spread over the files, joined in runs of 1 to 12 so that lengths differ; the empty text too."""
    files = sorted(file for path in paths for file in (path.rglob("*.md") if path.is_dir() else [path]))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    starts = np.linspace(0, max(len(lines) - 12, 0), most, dtype=int)
    return ["", *(" ".join(lines[start : start + 1 + n % 12]) for n, start in enumerate(starts))]


def change(found: Vectors, alone: Vectors) -> tuple[float, float]:
    """The largest change of a cosine of any two texts, and the largest distance that a vector moved."""
    one, other = found.astype(np.float64), alone.astype(np.float64)
    moved = np.linalg.norm(one - other, axis=1).max()
    return float(np.abs(one @ other.T - other @ other.T).max()), float(moved)


def under_bfloat16(embedder: LocalEmbeddings, texts: list[str]) -> Vectors:
    import torch

    with torch.autocast("cpu", torch.bfloat16):
        return embedder.encode_passages(texts)


def measure(model: str, texts: list[str], against: Path | None) -> tuple[dict[str, tuple[float, float]], Vectors]:
    """Changes by way of embedding, and the vectors of each text alone."""
    described = ModelHome(Settings.load().models_dir).get(model, "embedder")
    by_torch, by_onnx = LocalEmbeddings(described, "cpu", by_torch=True), LocalEmbeddings(described, "cpu")
    alone = np.concatenate([by_torch.encode_passages([text]) for text in texts])
    ways: dict[str, Callable[[], Vectors]] = {
        "torch, float32, in batches": lambda: by_torch.encode_passages(texts),
        "ONNX Runtime, float32": lambda: by_onnx.encode_passages(texts),
        "torch under bfloat16 autocast, in batches (not used)": lambda: under_bfloat16(by_torch, texts),
    }
    if against:
        ways[f"the run in {against.name}"] = lambda: np.load(against)
    return {name: change(encode(), alone) for name, encode in ways.items()}, alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("sample_docs")])
    parser.add_argument("--texts", type=int, default=90)
    parser.add_argument("--model", default="multilingual-e5-small")
    parser.add_argument("--save", type=Path, help="keep the vectors of this run here (.npy)")
    parser.add_argument("--against", type=Path, help="compare with vectors that --save kept")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    texts = texts_of(given.paths, given.texts)
    changes, alone = measure(given.model, texts, given.against)
    if given.save:
        np.save(given.save, alone)
    if given.json:
        print(json.dumps({"texts": len(texts), "limit": COSINE_TOLERANCE, "changes": changes}, indent=2))
        return
    print(f"{len(texts)} texts, limit {COSINE_TOLERANCE:.0e}: largest change of a cosine, largest distance moved")
    for name, (cosine, moved) in changes.items():
        print(f"{cosine:.1e}  {moved:.1e}  {name}")


if __name__ == "__main__":
    main()
