"""Everything of this project that runs on a GPU, measured in one run of five minutes, as one JSON file.

`python benchmarks/gpu.py --out gpu.json` on a machine with CUDA; `--dry` rehearses every part on the CPU, at tiny
sizes. Each part is a process of its own with a limit of time: one that fails or is stopped leaves its traceback
and what it had measured, and the next one runs. The file is written anew after each part.

The machine needs Python 3.11 or later, torch, transformers, sentence-transformers, peft and accelerate, and no
package registry. `--wheels DIR` makes further packages from a folder of wheels importable, without their
dependencies and without changing the environment: those of kb-assistant itself (the tests and the engine need
langchain-core), faiss-gpu, bitsandbytes. A part that lacks a package says so. A wheel that came in pieces is
joined first: `cat DIR/faiss.part* > DIR/faiss_gpu-….whl`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from findings import Findings

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "torch transformers sentence-transformers peft accelerate tokenizers numpy faiss-gpu faiss-cpu bitsandbytes "
    "langchain-core"
).split()


def tests(findings: Findings, dry: bool, _: Path) -> None:
    import gpu_parts

    gpu_parts.tests(findings, dry)


def faiss(findings: Findings, dry: bool, _: Path) -> None:
    import gpu_faiss

    gpu_faiss.run(findings, dry)


def embedding(findings: Findings, dry: bool, folder: Path) -> None:
    import gpu_parts

    gpu_parts.embedding(findings, dry, folder)


def chatglm2(precision: str, findings: Findings, dry: bool, _: Path) -> None:
    import gpu_chatglm2

    gpu_chatglm2.run(findings, dry, precision)


def loading(findings: Findings, dry: bool, folder: Path) -> None:
    import gpu_chatglm2

    gpu_chatglm2.folder(findings, dry, folder)


def lora(findings: Findings, dry: bool, _: Path) -> None:
    import gpu_parts

    gpu_parts.lora(findings, dry)


PARTS: dict[str, tuple[int, Callable[[Findings, bool, Path], None]]] = {
    "chatglm2 int4": (45, partial(chatglm2, "int4")),
    "faiss": (65, faiss),
    "tests": (45, tests),
    "embedding": (30, embedding),
    "chatglm2 nf4": (30, partial(chatglm2, "nf4")),
    "chatglm2 fp16-unpacked": (30, partial(chatglm2, "fp16-unpacked")),
    "lora": (30, lora),
    "loading": (25, loading),
}
"""Each part's limit in seconds, and what it does; the most important ones first. Together five minutes."""


def main() -> None:
    arguments = parse()
    if arguments.part:
        PARTS[arguments.part][1](Findings(arguments.out), arguments.dry, arguments.folder)
        return
    if arguments.dry:  # two threads that share one free core wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="kb-gpu-") as work:
        environment = with_wheels(arguments.wheels, Path(work) / "site")
        whole: dict[str, Any] = {"dry": arguments.dry, "machine": machine(environment), "parts": {}}
        for name in arguments.parts.split(",") if arguments.parts else PARTS:
            whole["parts"][name] = run(name, arguments, Path(work), environment)
            arguments.out.write_text(json.dumps(whole, ensure_ascii=False, indent=1), encoding="utf-8")
            print(summary(name, whole["parts"][name]), flush=True)
    failed = [name for name, part in whole["parts"].items() if part["state"] != "done" or part["failed"]]
    print(f"{arguments.out}: {len(whole['parts']) - len(failed)} parts whole, {len(failed)} not: {failed}")


def run(name: str, arguments: argparse.Namespace, work: Path, environment: dict[str, str]) -> dict[str, Any]:
    """One part in a process of its own: its state, seconds, what it found, and what of that failed."""
    folder, out = work / name.replace(" ", "-"), work / f"{name.replace(' ', '-')}.json"
    folder.mkdir()
    command = [sys.executable, __file__, "--part", name, "--out", str(out), "--folder", str(folder)]
    command += ["--dry"] if arguments.dry else []
    limit, began, state = PARTS[name][0] * arguments.patience, time.monotonic(), "done"
    said = ""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
        if done.returncode:
            state, said = f"ended with status {done.returncode}", done.stderr[-4000:]
    except subprocess.TimeoutExpired as stopped:
        state, said = f"stopped after {limit:.0f} s", _text(stopped.stderr)[-2000:]
    found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    failed = [key for key, value in found.items() if isinstance(value, dict) and "traceback" in value]
    seconds = round(time.monotonic() - began, 1)
    return {"state": state, "seconds": seconds, "failed": failed, "found": found} | (
        {"said": said} if said else {}
    )


def _text(said: bytes | str | None) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said or ""


def with_wheels(wheels: Path | None, site: Path) -> dict[str, str]:
    """The environment of the parts: this repository importable, and what the wheels hold."""
    paths = [str(ROOT), str(ROOT / "benchmarks")]
    if wheels and (files := [str(file) for file in sorted(wheels.glob("*.whl"))]):
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        for file in files:  # one that doesn't fit leaves the others
            done = subprocess.run([*pip, "--target", str(site), file], capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{Path(file).name}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        paths.insert(0, str(site))
    before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths + before)}


def machine(environment: dict[str, str]) -> dict[str, Any]:
    """What is measured: the GPU, its driver, the processor, and the packages that the parts see."""
    return {
        "gpu": _said(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]),
        "processor": _said(["sh", "-c", "grep -m1 'model name' /proc/cpuinfo; nproc"]),
        "python": platform.python_version(),
        "packages": json.loads(
            subprocess.run(
                [sys.executable, "-c", "import gpu, json; print(json.dumps(gpu.versions()))"],
                env=environment, capture_output=True, text=True, check=True,
            ).stdout
        ),
    }  # fmt: skip


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown: {error}"


def summary(name: str, part: dict[str, Any]) -> str:
    failed = f"; failed: {', '.join(part['failed'])}" if part["failed"] else ""
    return f"{name}: {part['state']}, {part['seconds']} s, {len(part['found'])} measures{failed}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file")
    parser.add_argument("--dry", action="store_true", help="on the CPU, at tiny sizes")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to import from")
    parser.add_argument("--parts", default="", help=f"only these, joined by commas: {', '.join(PARTS)}")
    parser.add_argument("--patience", type=float, default=1.0, help="times the limits of the parts")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
