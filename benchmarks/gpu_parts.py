"""The parts of gpu.py beside FAISS and ChatGLM2: the tests that need a GPU, embedding, a step of training."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from findings import Findings

ROOT = Path(__file__).parents[1]
WORDS = 1000
PASSAGE_TOKENS = 256


def tests(findings: Findings, dry: bool) -> None:
    """The tests marked `gpu`; without a GPU they are collected only. Those of the network need neither the
    fixtures of all tests nor the packages of these."""
    findings.measure("network", lambda: tested(["--noconftest", "tests/chatglm2/test_gpu.py"], dry))
    findings.measure("index", lambda: tested(["tests/index/test_vector_index.py"], dry))


def tested(given: list[str], dry: bool) -> dict[str, Any]:
    """How many passed.

    Raises:
        RuntimeError: one failed, or none was found: what pytest said last.
    """
    # Its own options: pytest-asyncio and the plugins that pyproject.toml names may be missing.
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-o", "addopts=--import-mode=importlib -q", "-rfE"]
    command += ["--tb=short", *given, *(["--collect-only"] if dry else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()[-60:] + done.stderr.splitlines()[-10:]
    if done.returncode:
        raise RuntimeError("\n".join([f"pytest ended with status {done.returncode}", *said]))
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|skipped)", done.stdout)}
    return {"exit status": 0, **counts, "said": said[-2:]}


def embedding(findings: Findings, dry: bool, where: Path) -> None:
    """Passages a second of an encoder of e5-small's size, by type of the arithmetic."""
    import torch

    from kb_assistant.embedding.network import load_network
    from kb_assistant.model_folder import Model

    made = findings.measure("made", lambda: make_encoder(where, dry), lambda _: "random weights")
    if made is None:
        return
    device = "cpu" if dry else "cuda"
    model = Model("random", "embedder", where, "random", context_tokens=512)
    texts = passages(4 if dry else 4096)
    exact: Any = None
    for name in ("float32", "float16", "bfloat16"):

        def work(name: str = name) -> dict[str, Any]:
            nonlocal exact
            network = load_network("SentenceTransformer", model, device, "").to(getattr(torch, name))
            rate, vectors = passages_a_second(network, texts)
            exact = vectors if exact is None else exact
            same = torch.nn.functional.cosine_similarity(vectors, exact)
            speeds = {"passages/s": rate, "tokens/s": rate * PASSAGE_TOKENS}
            return speeds | {"lowest cosine to float32": float(same.min())}

        findings.measure(name, work)
    findings.measure("kb ingest's way, float32", lambda: by_local_embeddings(model, device, texts))


def passages_a_second(network: Any, texts: list[str]) -> tuple[float, Any]:
    """The rate, and the vectors in float32."""
    network.encode(texts[:256], batch_size=256, convert_to_tensor=True, show_progress_bar=False).cpu()
    began = time.perf_counter()
    vectors = network.encode(texts, batch_size=256, convert_to_tensor=True, show_progress_bar=False).float().cpu()
    return len(texts) / (time.perf_counter() - began), vectors


def by_local_embeddings(model: Any, device: str, texts: list[str]) -> dict[str, Any]:
    from kb_assistant.embedding.local import LocalEmbeddings

    embedder = LocalEmbeddings(model, device, by_torch=True)
    embedder.encode_passages(texts[:64])
    began = time.perf_counter()
    embedder.encode_passages(texts)
    return {"passages/s": len(texts) / (time.perf_counter() - began)}


def make_encoder(where: Path, dry: bool) -> Path:
    """A folder of sentence-transformers: e5-small's sizes, random weights, a tokenizer of a thousand words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(1)
    sizes = {"hidden_size": 384, "num_hidden_layers": 2 if dry else 12, "num_attention_heads": 12}
    BertModel(BertConfig(vocab_size=WORDS + 3, intermediate_size=1536, **sizes)).save_pretrained(where)
    special = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2}
    vocabulary = special | {f"w{n}": n + 3 for n in range(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=512
    ).save_pretrained(where)
    parts = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(parts)
    ]
    for path, kind in parts[1:]:
        (where / path).mkdir(exist_ok=True)
        config = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True} if kind == "Pooling" else {}
        (where / path / "config.json").write_text(json.dumps(config))
    (where / "modules.json").write_text(json.dumps(modules))
    return where


def passages(count: int) -> list[str]:
    """Texts of PASSAGE_TOKENS tokens each, with the two at their ends."""
    import random

    chosen = random.Random(0)
    return [" ".join(f"w{chosen.randrange(WORDS)}" for _ in range(PASSAGE_TOKENS - 2)) for _ in range(count)]


def lora(findings: Findings, dry: bool) -> None:
    """A step of training at full size: tokens a second, peak of memory against the estimate."""
    from synthetic import FULL, SMALL
    from train import measured

    device: Any = "cpu" if dry else "cuda"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for precision in ("int4", "nf4"):
        tokens, steps = (16, 1) if dry else (1024, 3)
        findings.measure(
            precision,
            lambda: measured(precision, SMALL if dry else FULL, tokens, steps, device),  # noqa: B023
        )
