"""The packaged llama.cpp against the one that `kb models build-engine` made, in processor milliseconds a token.

`python benchmarks/engines.py MODEL.gguf --home DIR`: DIR is a home with a build, or without one, for the packaged
engine alone. One thread, prompts of random ids, each engine in a process of its own, in turns; the least of the
runs, since other programs only add to the time. `--layers 4 --home DIR` without a model makes one of ChatGLM2's
shape with random weights (1 GB).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measure import report

ROOT = Path(__file__).parents[1]


def main() -> None:
    arguments = parse()
    if arguments.one:
        measured(arguments)
    model = arguments.model or made(arguments.layers, arguments.home)
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(arguments.rounds):
        for engine in ("packaged", "built"):
            if told := one(engine, model, arguments):
                found.setdefault(engine, []).append(told)
    rows = [
        {"engine": engine} | {name: min(run[name] for run in runs) for name in runs[0]}
        for engine, runs in found.items()
    ]
    report(f"{model.name}, one thread, processor time, load {os.getloadavg()[0]:.1f}", rows, arguments.json)


def made(layers: int, home: Path) -> Path:
    from chatglm2 import TOKENIZER, add
    from synthetic import make_folder

    folder = home / f"synthetic-{layers}-4"
    make_folder(folder, ROOT / TOKENIZER, layers, 4)
    return add(folder, home)


def one(engine: str, model: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """A run of its own; {} without such an engine."""
    command = [sys.executable, __file__, str(model), "--one", engine, "--home", str(arguments.home)]
    command += ["--prompt", str(arguments.prompt), "--written", str(arguments.written)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def measured(arguments: argparse.Namespace) -> None:
    """Print what reading and writing a token take, and end."""
    from kb_assistant.llm.llama_server import open_server
    from kb_assistant.models.native_engine import engine_folder, prefer

    if arguments.one == "built":
        prefer(arguments.home)
        if not engine_folder(arguments.home).is_dir():
            print("{}")
            raise SystemExit
    server = open_server(arguments.model, 2048, 1)

    def taken(length: int, written: int, seed: int) -> float:
        chosen = random.Random(seed)
        ids = [chosen.randrange(300, 590) for _ in range(length)]
        body: dict[str, Any] = {"prompt": ids, "max_tokens": written, "temperature": 0, "ignore_eos": True}
        before = time.process_time()
        for _ in server.stream(body | {"cache_prompt": False}):
            pass
        return time.process_time() - before

    taken(8, 2, 0)
    read = taken(arguments.prompt, 1, 1)
    both = taken(arguments.prompt, 1 + arguments.written, 2)
    told = {"read ms": 1000 * read / arguments.prompt, "write ms": 1000 * (both - read) / arguments.written}
    print(json.dumps(told), flush=True)
    os._exit(0)  # threads of the engine may wait for each other


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", help="a GGUF file")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=64, help="tokens read")
    parser.add_argument("--written", type=int, default=24, help="tokens written")
    parser.add_argument("--one", choices=("packaged", "built"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
