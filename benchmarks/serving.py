"""What serving costs: how soon it listens, a search over HTTP against the same in Python, many clients at once
against one, and what clients that leave leave behind.

python benchmarks/serving.py HOME [--clients 20] [--rounds 5] [--leaving 200]

HOME holds a knowledge base `default`; its questions come from its own headings. The server runs in a process of
its own, `kb serve --model extract`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import httpx
import psutil

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.workspace.suggestions import example_questions

PORT = 8599
_JSON = {"content-type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--leaving", type=int, default=200)
    given = parser.parse_args()
    base = KnowledgeBase(Settings(home=given.home, model="extract"))
    questions = example_questions(base, 8)
    command = [sys.executable, "-m", "kb_assistant", "serve", "--home", str(given.home), "--model", "extract"]
    client = httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=600)
    began = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--port", str(PORT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for path, said in (("/healthz", "listens"), ("/readyz", "is ready for the first question")):
            _until(client, path)
            print(f"it {said} after {time.perf_counter() - began:.1f} s")
        trivial = [_seconds(lambda: client.get("/v1/models")) for _ in range(200)]
        print(f"a route that computes nothing: p50 {_p(trivial, 50) * 1000:.1f} ms")
        _overhead(base, client, questions, given.rounds)
        process = psutil.Process(server.pid)
        _many(client, process, questions, given.clients, given.rounds)
        _leaving(client, process, questions, given.leaving)
    finally:
        server.kill()
        server.wait()


def _overhead(base: KnowledgeBase, client: httpx.Client, questions: list[str], rounds: int) -> None:
    """Python and HTTP by turns, so that other load meets both alike."""
    direct, served = [], []
    for _ in range(rounds):
        for question in questions:
            direct.append(_seconds(lambda: base.retrieve(question, read=True)))  # noqa: B023
            served.append(_seconds(lambda: _search(client, question)))  # noqa: B023
    more = [one - other for one, other in zip(served, direct, strict=True)]
    told = {"in Python": direct, "over HTTP": served, "difference": more}
    print("a search: " + "; ".join(f"{name} p50 {_p(times, 50) * 1000:.1f} ms" for name, times in told.items()))


def _many(client: httpx.Client, server: psutil.Process, questions: list[str], clients: int, rounds: int) -> None:
    spent = [_processor_time(server)]
    alone = [_seconds(lambda: _ask(client, question)) for _ in range(rounds) for question in questions]  # noqa: B023
    every = [questions[n % len(questions)] for n in range(clients * rounds)]
    spent.append(_processor_time(server))
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        together = list(pool.map(lambda question: _seconds(lambda: _ask(client, question)), every))
    took = time.perf_counter() - began
    spent.append(_processor_time(server))
    each = [(spent[1] - spent[0]) / len(alone), (spent[2] - spent[1]) / len(every)]
    print(f"answers of one client: p50 {_p(alone, 50):.2f} s, p95 {_p(alone, 95):.2f} s")
    print(f"answers of {clients} at once: p50 {_p(together, 50):.2f} s, p95 {_p(together, 95):.2f} s, "
          f"{len(every) / took:.1f} a second (one client: {1 / statistics.mean(alone):.1f})")  # fmt: skip
    print(f"p95 of {clients} at once is {_p(together, 95) / _p(alone, 95):.1f} times that of one alone")
    least = each[1] * clients / (os.cpu_count() or 1)
    print(f"processor time of an answer: {each[0]:.3f} s alone, {each[1]:.3f} s beside others")
    times = least / _p(alone, 95)
    print(f"so the last of {clients} waits {least:.2f} s at least, {times:.1f} times p95 of one alone")


def _processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _leaving(client: httpx.Client, server: psutil.Process, questions: list[str], count: int) -> None:
    """Clients that ask and close the connection at once, and by turns after the first bytes of a stream."""
    before = (server.num_threads(), server.num_fds())
    for turn in range(count):
        body = {"model": "kb/default", "messages": [{"role": "user", "content": questions[turn % len(questions)]}]}
        connection = HTTPConnection("127.0.0.1", PORT)
        connection.request("POST", "/v1/chat/completions", json.dumps(body | {"stream": turn % 2 == 1}), _JSON)
        if turn % 2:
            connection.getresponse().read(10)
        connection.close()
    took = _seconds(lambda: _ask(client, questions[0]))
    time.sleep(2)
    after = (server.num_threads(), server.num_fds())
    queued = [line for line in client.get("/metrics").text.splitlines() if line.startswith("kb_queue{")]
    print(f"{count} clients that left: threads {before[0]} → {after[0]}, open files {before[1]} → {after[1]}, "
          f"{'; '.join(queued)}; the next answer took {took:.2f} s")  # fmt: skip


def _search(client: httpx.Client, question: str) -> None:
    client.post("/api/v1/bases/default/search", json={"question": question}).raise_for_status()


def _ask(client: httpx.Client, question: str) -> None:
    body = {"model": "kb/default", "messages": [{"role": "user", "content": question}]}
    client.post("/v1/chat/completions", json=body).raise_for_status()


def _until(client: httpx.Client, path: str) -> None:
    for _ in range(6000):
        with suppress(httpx.TransportError):
            if client.get(path).status_code == 200:
                return
        time.sleep(0.02)
    raise SystemExit(f"{path} doesn't get ready")


def _seconds(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def _p(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


if __name__ == "__main__":
    main()
