"""ChatGLM2 of full size with random weights on a GPU: speed against the bandwidth, memory, first tokens.

The network alone is measured with torch and transformers; the engine that answers, over the same network, where
LangChain is installed.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import torch
from chatglm2 import TURN_LIMIT, bandwidth, bytes_a_token, engine_answer, prompt, turns
from findings import Findings
from synthetic import FULL, SMALL, make_folder, random_network
from transformers import DynamicCache

from kb_assistant.chatglm2.checkpoint import TOKENIZER as TOKENIZER_FILE
from kb_assistant.chatglm2.model import load_model

TINY = Path(__file__).parents[1] / "tests/data/chatglm2/tiny-chatglm2"
MEMORY_LIMIT_GB = 6.0
BATCH = 512


def run(findings: Findings, dry: bool, precision: str) -> None:
    """Args:
    precision: "int4" (tinygemm), "nf4" (bitsandbytes), or "fp16-unpacked": INT4 unpacked for each product, as on
        GPUs before Ampere.
    """
    dtype = torch.float16 if precision == "fp16-unpacked" else torch.bfloat16
    network = findings.measure(
        "made", lambda: Network(precision, dtype, dry), lambda made: {"GB": made.used(), "kernel": made.kernel}
    )
    if network is None:
        return
    scale = 16 if dry else 1
    findings.measure("network", lambda: network.speed(2048 // scale, 64 // scale))
    findings.measure("one step as a CUDA graph", lambda: network.graphed(256 // scale))
    for length in (2048, 8192):
        findings.measure(f"memory at {length} tokens", lambda: network.memory(length // scale))  # noqa: B023
    findings.measure("turns, network", lambda: network.turns(1500 // scale, 120 // scale))
    findings.measure("engine", lambda: by_engine(network, 1500 // scale, 104 // scale))


class Network:
    """The network, and how it answers token by token."""

    def __init__(self, precision: str, dtype: torch.dtype, dry: bool) -> None:
        self.size, self.device, self.dtype = SMALL if dry else FULL, "cpu" if dry else "cuda", dtype
        self.precision = precision
        held = "nf4" if precision == "nf4" else "int4"
        self.model = random_network(self.size, held, dtype, self.device)
        first = self.model.model.layers[0].mlp.down_proj
        self.kernel = bool(getattr(first, "group", 0)) if held == "int4" else type(first).__name__
        self.read = bytes_a_token(self.size, f"cuda-{held}")
        self.rate = bandwidth(self.device, 4 if dry else 12, 0.05 if dry else 4.0)

    @torch.inference_mode()
    def forward(self, ids: list[int], cache: DynamicCache) -> int:
        """The most probable token after these."""
        first = cache.get_seq_length()
        positions = torch.arange(first, first + len(ids), device=self.device)[None]
        tokens = torch.tensor([ids], device=self.device)
        output = self.model(
            tokens, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        return int(output.logits[0, -1].argmax()) % 500

    def fill(self, ids: list[int], cache: DynamicCache) -> int:
        """Read a prompt as the engine does."""
        token = 0
        for start in range(0, len(ids), BATCH):
            token = self.forward(ids[start : start + BATCH], cache)
        return token

    def speed(self, length: int, written: int) -> dict[str, Any]:
        """Tokens a second of reading and of writing."""
        self.fill(prompt(64, 1), DynamicCache())
        cache, began = DynamicCache(), time.perf_counter()
        token = self.fill(prompt(length, 2), cache)
        read = time.perf_counter() - began
        taken = []
        for _ in range(written):
            began = time.perf_counter()
            token = self.forward([token], cache)
            taken.append(time.perf_counter() - began)
        step = sorted(taken)[len(taken) // 2]
        return {
            "reads tokens/s": length / read,
            "writes tokens/s": 1 / step,
            "of the ceiling": self.of_ceiling(step),
            "ceiling tokens/s": self.rate / self.read,
            "bandwidth GB/s": self.rate / 1e9,
            "GB read a token": self.read / 1e9,
        }

    def of_ceiling(self, step: float) -> float:
        return self.read / step / self.rate

    @torch.inference_mode()
    def graphed(self, length: int, rounds: int = 20) -> dict[str, Any]:
        """One step of writing without the time that starting its kernels takes: what CUDA graphs would give."""
        cache = DynamicCache()
        self.fill(prompt(length, 3), cache)
        token = torch.tensor([[5]], device=self.device)
        place = torch.tensor([[length]], device=self.device)

        def step() -> None:
            self.model(token, position_ids=place, past_key_values=cache, use_cache=True, logits_to_keep=1)

        if self.device == "cpu":
            step()
            return {"left out": "no CUDA; the step runs"}
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        graph.replay()
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(rounds):
            graph.replay()
        torch.cuda.synchronize()
        taken = (time.perf_counter() - began) / rounds
        return {"tokens/s": 1 / taken, "of the ceiling": self.of_ceiling(taken)}

    def memory(self, length: int) -> dict[str, Any]:
        """The most memory while a prompt of this length is read and answered."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        cache = DynamicCache()
        token = self.fill(prompt(length, 4), cache)
        for _ in range(8):
            token = self.forward([token], cache)
        if self.device == "cpu":
            return {"GB": self.used()}
        peak = torch.cuda.max_memory_reserved() / 1e9 + context_gb()
        return {
            "GB": peak,
            "allocated GB": torch.cuda.max_memory_allocated() / 1e9,
            "reserved GB": torch.cuda.max_memory_reserved() / 1e9,
            "within 6 GB": peak <= MEMORY_LIMIT_GB,
        }

    def turns(self, length: int, new: int) -> dict[str, Any]:
        """Seconds to the first token of a turn, and of the next one."""
        cache, began = DynamicCache(), time.perf_counter()
        self.fill(prompt(length, 5), cache)
        first, began = time.perf_counter() - began, time.perf_counter()
        self.fill(prompt(new, 6), cache)
        second = time.perf_counter() - began
        return {"turn 1 s": first, "turn 2 s": second, "turn 2 / turn 1": second / first, "limit": TURN_LIMIT}

    def used(self) -> float:
        """GB that the process holds now: on the GPU with the driver's own."""
        if self.device == "cpu":
            return float(psutil.Process().memory_info().rss) / 1e9
        return torch.cuda.memory_reserved() / 1e9 + context_gb()


def context_gb() -> float:
    """What the device has lost beside torch's allocator: the driver's context, if nobody else uses the GPU."""
    free, total = torch.cuda.mem_get_info()
    return max(0.0, (total - free - torch.cuda.memory_reserved()) / 1e9)


def by_engine(network: Network, length: int, new: int) -> dict[str, Any]:
    """The engine over the same network: writing with its sampling and spelling, and both turns."""
    from kb_assistant.chatglm2.prompt import ChatTemplate
    from kb_assistant.chatglm2.tokenizer import build_tokenizer
    from kb_assistant.llm import torch_engine

    template = ChatTemplate(build_tokenizer(TINY / TOKENIZER_FILE, 2), 2)
    held = "nf4" if network.precision == "nf4" else "int4"
    with (
        patch.object(torch_engine, "load_model", lambda *_: network.model),
        patch.object(torch_engine, "best_dtype", lambda *_: network.dtype),
    ):
        engine = torch_engine.TorchEngine(network.size, template, held, network.device, length + new + 128)  # type: ignore[arg-type]
    answer = engine_answer(engine)
    answer(prompt(8, 1), 4)
    _, others, tokens, _ = answer(prompt(min(256, length), 7), 64)
    row = turns(answer, network.precision, length, new)
    return {"writes tokens/s": tokens / others, "of the ceiling": network.of_ceiling(others / tokens)} | row


def folder(findings: Findings, dry: bool, where: Path) -> None:
    """A folder in the official INT4 layout: seconds and the most memory to load it."""
    sizes = {"hidden_size": 256, "ffn_hidden_size": 512, "padded_vocab_size": 1024} if dry else {}
    layers = 2 if dry else FULL.layers
    findings.measure(
        "written",
        lambda: make_folder(where, TINY / TOKENIZER_FILE, layers, same_layers=True, **sizes),
        lambda made: {"layers": made.layers},
    )
    findings.measure("loaded", lambda: loaded(where, "cpu" if dry else "cuda"))


def loaded(where: Path, device: str) -> dict[str, Any]:
    model = load_model(where, torch.bfloat16, "int4", device)
    held = sum(one.nbytes for one in (*model.parameters(), *model.buffers())) / 1e9
    peak = {"peak GB": torch.cuda.max_memory_reserved() / 1e9} if device == "cuda" else {}
    return {"weights GB": held} | peak
