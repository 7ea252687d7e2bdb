"""ChatGLM2 at full size: tokens a second against the memory's bandwidth, memory, time to the first token.

Weights are random, of the official size and layout: the arithmetic is the same, the words are noise. Decoding
reads all weights once a token, so its ceiling is the bandwidth of the same run over the bytes read a token.

Prompts are token ids. The second turn's prompt is the first one's with its answer and new tokens behind.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from measure import report
from synthetic import make_folder

from kb_assistant.chatglm2.checkpoint import Checkpoint
from kb_assistant.models.home import ModelHome

TOKENIZER = Path("tests/data/chatglm2/tiny-chatglm2/tokenizer.model")
TURN_LIMIT = 0.15
DECODE_LIMIT = 0.80
Answer = Callable[[list[int], int], tuple[float, float, int, int]]
"""Prompt and length to: seconds to the first token, seconds for the others, tokens written, tokens reused."""


def bandwidth(device: str, rounds: int = 12, gigabytes: float = 1.0) -> float:
    """Bytes a second read from an array far larger than the caches, by all cores; the best of some rounds."""
    words = torch.ones(int(gigabytes * 1e9) // 4, dtype=torch.float32, device=device)
    best = 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        words.sum().item()
        best = max(best, words.nbytes / (time.perf_counter() - started))
    return best


def bytes_a_token(checkpoint: Checkpoint, engine: str) -> int:
    """Weights read for one token: everything but the embedding, of which one row is read."""
    linear = sum(rows * columns for _, (rows, columns) in checkpoint.linear_shapes())
    # Q4_0's blocks; nibbles and the kernel's ones; nibbles and a float for 64 of them.
    blocks = {"llama": 18 / 32, "int4": 0.5 + 4 / 128, "nf4": 0.5 + 4 / 64, "none": 2}[engine.split("-")[-1]]
    output = 34 / 32 if engine == "llama" else 2
    return int(linear * blocks + checkpoint.vocabulary * checkpoint.hidden * output)


def resident() -> float:
    """GB of this process that no file backs, or of GPU memory at its peak: what really takes memory."""
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        return torch.cuda.max_memory_reserved() / 1e9
    info = psutil.Process().memory_full_info()
    return float(info.uss) / 1e9


def llama(model: Path, context: int, threads: int) -> Answer:
    from kb_assistant.llm.llama_server import open_server

    server = open_server(model, context, threads)

    def answer(ids: list[int], length: int) -> tuple[float, float, int, int]:
        body = {"prompt": ids, "max_tokens": length, "temperature": 0, "ignore_eos": True, "cache_prompt": True}
        last = {}
        for event in server.stream(body):
            last = event
        times, usage = last["timings"], last["usage"]
        reused = usage["prompt_tokens_details"]["cached_tokens"]
        return times["prompt_ms"] / 1000, times["predicted_ms"] / 1000, usage["completion_tokens"], reused

    return answer


def by_torch(folder: Path, context: int, threads: int, device: str, quantize: str) -> Answer:
    from kb_assistant.llm.torch_chat import TorchChat

    chat = TorchChat(folder=folder, context_tokens=context, device=device, quantize=quantize, threads=threads)
    return engine_answer(chat.engine)


def engine_answer(engine: Any) -> Answer:
    """The answers of a `TorchEngine`."""
    from kb_assistant.llm.base import Sampling
    from kb_assistant.llm.streaming import Delta

    def answer(ids: list[int], length: int) -> tuple[float, float, int, int]:
        end = Delta()

        def emit(piece: Delta) -> bool:
            nonlocal end
            end = piece
            return False

        engine.answer(ids, Sampling(temperature=0, max_tokens=length), emit)
        assert end.usage is not None
        times = end.ending["timings"]
        reused = end.usage["input_token_details"]["cache_read"]
        return times["prompt_ms"] / 1000, times["predicted_ms"] / 1000, end.usage["output_tokens"], reused

    return answer


def prompt(length: int, seed: int) -> list[int]:
    """Ids of pieces, none of them special."""
    chosen = random.Random(seed)
    return [chosen.randrange(300, 590) for _ in range(length)]


def speed(answer: Answer, name: str, ceiling: float, rounds: int, length: int, written: int) -> dict[str, Any]:
    """Prefill and decode of prompts that share nothing, median over rounds."""
    prefill, decode = [], []
    for seed in range(rounds):
        first, others, tokens, _ = answer(prompt(length, seed), written)
        prefill.append(length / first)
        decode.append(tokens / others)
    rate = statistics.median(decode)
    return {
        "engine": name,
        "prefill tok/s": statistics.median(prefill),
        "decode tok/s": rate,
        "best": max(decode),
        "ceiling": ceiling,
        "of it": rate / ceiling,
        "resident GB": resident(),
    }


def turns(answer: Answer, name: str, length: int, new: int) -> dict[str, Any]:
    """Seconds to the first token of a turn and of the next one, which adds `new` tokens."""
    ids = prompt(length, seed=99)
    first, *_ = answer(ids, 16)
    more = ids + prompt(16 + new, seed=100)  # an answer of the same length, then the question
    second, _, _, reused = answer(more, 16)
    return {
        "engine": name,
        "prompt": length,
        "turn 1 s": first,
        "new tokens": len(more) - len(ids),
        "reused": reused,
        "turn 2 s": second,
        "turn 2 / turn 1": second / first,
        "limit": TURN_LIMIT,
    }


def peak_of(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that a piece of work takes, and the most memory (GB, without mapped files) meanwhile."""
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            info = psutil.Process().memory_info()
            peak = max(peak, (info.rss - getattr(info, "shared", 0)) / 1e9)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    work()
    taken = time.perf_counter() - started
    done.set()
    watcher.join()
    return taken, peak


def add(folder: Path, home: Path) -> Path:
    """The folder as a model of llama.cpp; what `kb models add` does."""
    models = ModelHome(home / "models")
    if not any(model.name == folder.name for model in models.installed()):
        taken, peak = peak_of(lambda: models.add(folder, engine="llama"))
        print(f"kb models add: {taken:.0f} s, at most {peak:.2f} GB of memory beside mapped files")
    return models.get(folder.name, "chat").path


def alone(work: Callable[..., Any], *values: Any) -> Any:
    """Run in a process of its own, so that its memory is its own and freed afterwards."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, values)


def measured(
    engine: str, folder: Path, home: Path, arguments: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    bits = 16 if engine.endswith(("nf4", "none")) else 4
    folder = folder.with_name(f"{folder.name}-{bits}")
    checkpoint = make_folder(folder, arguments.tokenizer, arguments.layers, bits)
    context = arguments.turn_prompt + arguments.new + 64
    if engine == "llama":
        answer = llama(add(folder, home), context, arguments.threads)
    else:
        answer = by_torch(folder, context, arguments.threads, *engine.split("-"))
    device = "cuda" if engine.startswith("cuda") else "cpu"
    before = bandwidth(device)
    answer(prompt(8, 1), 2)
    row = speed(answer, engine, 1.0, arguments.rounds, arguments.prompt, arguments.written)
    rate = max(before, bandwidth(device))
    read = bytes_a_token(checkpoint, engine)
    of_it = row["decode tok/s"] * read / rate
    yield "speed", row | {"ceiling": rate / read, "of it": of_it, "read GB/s": rate / 1e9}
    yield "turns", turns(answer, engine, arguments.turn_prompt, arguments.new)


def run(engine: str, folder: Path, home: Path, arguments: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    torch.set_num_threads(arguments.threads)
    return list(measured(engine, folder, home, arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="for folder and GGUF file: 9 GB")
    parser.add_argument("--tokenizer", type=Path, default=TOKENIZER)
    parser.add_argument("--engines", default="llama", help="llama, cpu-int4, cpu-nf4, cuda-int4, joined by commas")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=256, help="tokens read, for the speed")
    parser.add_argument("--written", type=int, default=48, help="tokens written, for the speed")
    parser.add_argument("--turn-prompt", type=int, default=1500)
    parser.add_argument("--new", type=int, default=104, help="new tokens of turn 2, beside an answer of 16")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.home / f"synthetic-{arguments.layers}"
    rows: list[tuple[str, dict[str, Any]]] = []
    for engine in arguments.engines.split(","):
        rows += alone(run, engine, folder, arguments.home, arguments)
    title = f"speed, {arguments.threads} threads; decode is to reach {DECODE_LIMIT:.0%} of the ceiling"
    report(title, [row for kind, row in rows if kind == "speed"], arguments.json)
    report("time to the first token", [row for kind, row in rows if kind == "turns"], arguments.json)


if __name__ == "__main__":
    main()
