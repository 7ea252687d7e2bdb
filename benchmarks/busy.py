"""How much of its speed each engine keeps beside other programs.

`python benchmarks/busy.py --models HOME/models [--json]` measures each engine alone, beside one busy loop a core,
and beside three processes a core that multiply matrices with two threads each, in turns. An equal share of the
cores is .50 beside the loops and, with as many threads as cores, .14 beside the matrices; the goals are .40 and
.15. Figures mean something on an otherwise idle machine alone: it says how busy it was before. It takes three
minutes.

Engines: texts by ONNX Runtime in float32 and in 8-bit integers, texts by torch (where it is installed), a small
chat model by llama.cpp.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
from measure import report

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.llm.llama_server import LlamaServer, open_server
from kb_assistant.model_folder import INT8
from kb_assistant.models.home import ModelHome
from kb_assistant.torch_runtime import is_installed

LOOP = "while True: pass"
MATRICES = """
import numpy
a = numpy.random.default_rng(0).random((700, 700), numpy.float32)
while True:
    a = a @ a
    a /= abs(a).max()
"""
GOALS = {"loops": 0.40, "matrices": 0.15}
TEXT = "The pump of the northern basin is serviced every four hundred hours by the crew on duty. " * 10
TOKENS = 24
Engine = Callable[[], int]
"""Does one piece of work and says how many units it was."""


def main() -> None:
    arguments = parse()
    before = psutil.cpu_percent(1.0)
    cores = psutil.cpu_count(logical=False) or 1
    engines = open_engines(ModelHome(arguments.models))
    for engine in engines.values():
        engine()
    others: dict[str, list[list[str]]] = {
        "alone": [],
        "loops": [[sys.executable, "-c", LOOP]] * cores,
        "matrices": [[sys.executable, "-c", MATRICES]] * (3 * cores),
    }
    speeds: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in others} for name in engines}
    for _ in range(arguments.rounds):
        for kind, commands in others.items():
            with beside(commands):
                for name, engine in engines.items():
                    speeds[name][kind].append(speed(engine, arguments.seconds))
    rows = [row(name, kinds) for name, kinds in speeds.items()]
    report(f"{cores} cores, {before:.0f} % busy before", rows, arguments.json)
    sys.stdout.flush()
    os._exit(0)  # llama.cpp's threads aren't waited for


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="the models folder of a home")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each engine, state and round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def open_engines(models: ModelHome) -> Mapping[str, Engine]:
    embedder = models.get("multilingual-e5-small", "embedder")
    by_onnx, by_torch = LocalEmbeddings(embedder, "cpu"), LocalEmbeddings(embedder, "cpu", by_torch=True)
    in_int8 = LocalEmbeddings(models.get(f"multilingual-e5-small{INT8}", "embedder"), "cpu")
    server = open_server(models.get("smollm2-135m-instruct", "chat").path, 2048, os.cpu_count() or 1)
    found: dict[str, Engine] = {
        "texts by ONNX Runtime": lambda: len(by_onnx.encode_passages([TEXT] * 8)),
        "texts in 8-bit integers": lambda: len(in_int8.encode_passages([TEXT] * 16)),
    }
    if is_installed("torch"):
        found["texts by torch"] = lambda: len(by_torch.encode_passages([TEXT] * 8))
    return found | {"tokens by llama.cpp": lambda: generate(server)}


def generate(server: LlamaServer) -> int:
    body = {"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": TOKENS, "ignore_eos": True}
    for _ in server.stream(body):
        pass
    return TOKENS


def speed(engine: Engine, seconds: float) -> float:
    """Units a second, over at least these seconds."""
    started, done = time.perf_counter(), 0
    while (taken := time.perf_counter() - started) < seconds or not done:
        done += engine()
    return done / taken


@contextmanager
def beside(commands: list[list[str]]) -> Iterator[None]:
    """Other programs compute within it."""
    two = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    running = [subprocess.Popen(command, env=os.environ | two) for command in commands]
    try:
        if running:
            time.sleep(2.0)  # numpy's import isn't the load that is meant
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def row(name: str, kinds: Mapping[str, list[float]]) -> dict[str, object]:
    alone = max(kinds["alone"])
    ratios = {kind: sum(kinds[kind]) / len(kinds[kind]) / alone for kind in GOALS}
    return {
        "engine": name,
        "alone /s": alone,
        **{f"beside {kind}": ratio for kind, ratio in ratios.items()},
        "goals met": all(ratio >= GOALS[kind] for kind, ratio in ratios.items()),
    }


if __name__ == "__main__":
    main()
