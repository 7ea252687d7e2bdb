"""Ingest of a folder, in chunks a second, against the usual LangChain pipeline with the same model.

1. Embed and store: both get the very same list of chunk texts. Ours embeds them and commits texts, vectors and
   keyword postings to disk with the FAISS file; the peer is HuggingFaceEmbeddings and FAISS.from_documents, in
   memory.
   Our steps are timed one by one, so that each one's gain shows: by torch, then by ONNX Runtime; the last is what
   `kb ingest` does on a processor that multiplies 8-bit integers, the one before elsewhere.
2. The whole: files in, ready to search, each with its own reader and splitter (the peer reads files as plain text
   and cuts 1,000 characters with 200 of overlap). The numbers of chunks differ, so seconds are compared.

The model is loaded before the clock starts, and all run in turns. Beside other programs processor time (CPU s)
says more than seconds. The peer needs langchain-huggingface and
langchain-community; where they are installed elsewhere, name that Python by --peer-python.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import in_turns, quantile, report, seconds
from numpy.typing import NDArray

from ingest.discover import discover
from kb_assistant import KnowledgeBase, Settings
from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.embedding.onnx_encoder import better_in_int8
from kb_assistant.index.vector_index import VectorIndex
from kb_assistant.model_folder import INT8, Model
from kb_assistant.models.home import ModelHome
from kb_assistant.packed_weights import with_weights
from kb_assistant.store import NewChunk, Source, SQLiteStore

BATCH = 32
PEER = Path(__file__).with_name("peer.py")


class _InFileOrder(LocalEmbeddings):
    """Batches of BATCH in the order of the texts."""

    def _batches(self, lengths: Sequence[int], most_tokens: int) -> list[list[int]]:  # noqa: ARG002
        return [list(range(start, min(start + BATCH, len(lengths)))) for start in range(0, len(lengths), BATCH)]


class _ByLength(_InFileOrder):
    """Batches of BATCH of about the same length."""

    def _batches(self, lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
        order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
        return [[order[place] for place in batch] for batch in super()._batches(lengths, most_tokens)]


STEPS: dict[str, Callable[[Model, int], LocalEmbeddings]] = {
    "torch, in file order": lambda model, threads: _InFileOrder(model, "cpu", threads, by_torch=True),
    "torch, sorted": lambda model, threads: _ByLength(model, "cpu", threads, by_torch=True),
    "torch, packed": lambda model, threads: LocalEmbeddings(model, "cpu", threads, by_torch=True),
    "one by one": lambda model, threads: LocalEmbeddings(model, "cpu", threads, batch_tokens=1),
    "float32": lambda model, threads: LocalEmbeddings(model, "cpu", threads),
    "8 bits": lambda model, threads: LocalEmbeddings(replace(model, name=f"{model.name}{INT8}"), "cpu", threads),
}
"""Our embedder, step by step; a new one is a line here."""


class Ours:
    """One step: chunks to a store on disk."""

    def __init__(self, embedder: LocalEmbeddings, chunks: Sequence[NewChunk], folder: Path) -> None:
        self.embedder, self.chunks, self.folder = embedder, chunks, folder
        self.vectors = np.empty((0, 0), np.float32)
        self.cpu: list[float] = []
        embedder.encode_passages(["warm"])

    def run(self) -> None:
        started = time.process_time()
        self.vectors = self.embedder.encode_passages([chunk.text.embedded for chunk in self.chunks])
        vectors = {
            chunk.text.hash: row.astype("<f4").tobytes()
            for chunk, row in zip(self.chunks, self.vectors, strict=True)
        }
        shutil.rmtree(self.folder, ignore_errors=True)
        store = SQLiteStore(self.folder / "kb.sqlite", create=True)
        with store.write(self.embedder.fingerprint) as transaction:
            transaction.put_meta("embedder", dict(self.embedder.fingerprint))
            transaction.put_source(Source("all", "", "", "", "", False, ""), self.chunks, vectors)
        VectorIndex(self.folder / "index.cache").save(store)
        store.close()
        self.cpu.append(time.process_time() - started)


class Peer:
    """The peer on one order, in its own interpreter; it times itself."""

    def __init__(self, python: Path, order: dict[str, Any]) -> None:
        self.python, self.order = python, order
        self.chunks = 0
        self.times: list[float] = []
        self.cpu: list[float] = []

    def run(self) -> None:
        done = subprocess.run(
            [self.python, PEER], input=json.dumps(self.order), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"The peer failed: {done.stderr.strip().splitlines()[-1]}")
        answer = json.loads(done.stdout.splitlines()[-1])
        self.chunks = answer["chunks"]
        self.times.append(answer["seconds"])
        self.cpu.append(answer["cpu"])


def main() -> None:
    arguments = parse()
    model = ModelHome(arguments.models or Settings.load().models_dir).get(arguments.embedder, "embedder")
    files = chosen(arguments.folder, arguments.files)
    order = {
        "dtype": arguments.peer_dtype,
        "prompt": model.passage_prefix,
        "threads": arguments.threads,
    }
    with tempfile.TemporaryDirectory(prefix="kb-ingest-") as name, with_weights(model.path) as folder:
        work = Path(name)
        order["model"] = str(folder)
        copies = [copied(file, arguments.folder, work / "docs") for file in files]
        chunks = chunks_of(work, model, arguments)
        texts = [chunk.text.embedded for chunk in chunks]
        lengths = LocalEmbeddings(model).count_tokens(texts)
        what = f"{len(files)} files, {len(texts):,} different chunks, {sum(lengths):,} tokens"
        if "embed" in arguments.parts:
            peer = Peer(arguments.peer_python, order | {"texts": texts, "vectors": str(work / "peer.npy")})
            report(
                f"Embed and store: {what}", list(embed_rows(work, model, chunks, peer, arguments)), arguments.json
            )
        if "whole" in arguments.parts:
            peer = Peer(arguments.peer_python, order | {"files": [str(copy) for copy in copies]})
            report(
                f"The whole: {len(files)} files", list(whole_rows(work, model, peer, arguments)), arguments.json
            )


def embed_rows(
    work: Path, model: Model, chunks: Sequence[NewChunk], peer: Peer, arguments: argparse.Namespace
) -> Iterator[dict[str, object]]:
    names = arguments.step or list(STEPS)
    ours = [Ours(STEPS[name](model, arguments.threads), chunks, work / "store") for name in names]
    times = in_turns([peer.run, *(step.run for step in ours)], arguments.rounds)[1:]
    theirs = quantile(peer.times, 0.5)
    vectors: NDArray[np.float32] = np.load(work / "peer.npy")
    yield row("peer", peer.times, peer.cpu, len(chunks), 1.0, 1.0)
    for name, step, taken in zip(names, ours, times, strict=True):
        nearest = float((step.vectors * vectors).sum(axis=1).min())
        faster = theirs / quantile(taken, 0.5), quantile(peer.cpu, 0.5) / quantile(step.cpu, 0.5)
        yield row(f"ours, {name}", taken, step.cpu, len(chunks), *faster) | {"lowest cosine": nearest}


def whole_rows(work: Path, model: Model, peer: Peer, arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    name = "8 bits" if better_in_int8(model, "cpu") else "float32"
    embedder = STEPS[name](model, arguments.threads)
    embedder.encode_passages(["warm"])
    home = work / "whole"
    done: list[int] = []
    cpu: list[float] = []

    def ours() -> None:
        started = sum(os.times()[:4])
        shutil.rmtree(home, ignore_errors=True)
        with KnowledgeBase(Settings(home=home), embedder=embedder) as kb:
            kb.ingest(work / "docs")
            done.append(kb.status()["chunks"])
        cpu.append(sum(os.times()[:4]) - started)

    _, times = in_turns([peer.run, ours], arguments.rounds)
    yield row("peer", peer.times, peer.cpu, peer.chunks, 1.0, 1.0)
    faster = quantile(peer.times, 0.5) / quantile(times, 0.5), quantile(peer.cpu, 0.5) / quantile(cpu, 0.5)
    yield row(f"ours, {name}", times, cpu, done[-1], *faster)


def row(
    name: str, times: Sequence[float], cpu: Sequence[float], chunks: int, speed: float, cpu_speed: float
) -> dict[str, object]:
    median = quantile(times, 0.5)
    return {
        "pipeline": name,
        "chunks": chunks,
        "median s": median,
        "min s": min(times),
        "chunks/s": chunks / median,
        "times as fast": speed,
        "CPU s": quantile(cpu, 0.5),
        "times as fast by CPU": cpu_speed,
        "lowest cosine": None,
    }


def chosen(folder: Path, count: int) -> list[Path]:
    """Files that have a reader, evenly spread over the folder; all for 0."""
    files = [found.path for found in discover(folder) if not (found.ignored or found.unsupported or found.problem)]
    return [files[place * len(files) // count] for place in range(count)] if 0 < count < len(files) else files


def copied(file: Path, folder: Path, target: Path) -> Path:
    copy = target / file.relative_to(folder)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return copy


def chunks_of(work: Path, model: Model, arguments: argparse.Namespace) -> list[NewChunk]:
    """What our own splitter makes of the files, each text once, in path order."""
    from vectors import RandomEmbeddings

    class Counting(RandomEmbeddings):
        count_tokens = LocalEmbeddings(model).count_tokens

    with KnowledgeBase(Settings(home=work / "chunks"), embedder=Counting()) as kb:  # type: ignore[arg-type]
        taken = seconds(lambda: kb.ingest(work / "docs"))
        report("Ours without the embedding", [{"seconds": taken, **kb.status()}], arguments.json)
        with kb.store.read() as snapshot:
            found = {
                chunk.text.hash: NewChunk(chunk.text)
                for source in snapshot.sources()
                for chunk in snapshot.chunks_of_source(source.path)
            }
    return list(found.values())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a tree of documents")
    parser.add_argument("--files", type=int, default=0, help="only so many, evenly spread (default: all)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds (default %(default)s)")
    parser.add_argument("--step", action="append", choices=list(STEPS), help="only this step; may be repeated")
    parser.add_argument("--parts", nargs="+", choices=["embed", "whole"], default=["embed", "whole"])
    parser.add_argument("--embedder", default=Settings(home=Path()).embedder, help="(default %(default)s)")
    parser.add_argument("--models", type=Path, help="folder of models (default: that of the home)")
    parser.add_argument("--threads", type=int, default=0, help="threads for both (default: torch's choice)")
    parser.add_argument("--peer-python", type=Path, default=Path(sys.executable), help="Python that has the peer")
    parser.add_argument("--peer-dtype", choices=["float32", "auto"], default="auto",
                        help="auto: as the model's folder says, often float16 (default %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
