"""Lookup decoding: n-grams of the prompt as guesses of what comes next. Does it pay on answers from passages?

`python benchmarks/lookup.py --models HOME/models` asks the questions of tests/data/sample_questions.json about
sample_docs, and asks for each best passage word for word, which is the most that lookup can gain. The same prompts
go to the same model with and without it, in turns. Beside the speeds it prints what doesn't depend on other load:
tokens for each pass through the model, and whether the texts are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import report
from vectors import RandomEmbeddings

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.models.home import ModelHome
from kb_assistant.openmp import waiting_asleep
from kb_assistant.settings import Settings

ROOT = Path(__file__).parents[1]
WAYS = {"none": "", "ngram-simple": "NGRAM_SIMPLE", "ngram-map-k": "NGRAM_MAP_K", "ngram-mod": "NGRAM_MOD"}
GOAL = 1.3
TOKENS = 96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="the models folder of a home")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--ways", default="none,ngram-simple", help=f"of {', '.join(WAYS)}, joined by commas")
    parser.add_argument("--questions", type=int, default=10)
    parser.add_argument("--guess", type=int, default=8, help="most tokens guessed at once")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    prompts = asked(arguments.questions)
    file = ModelHome(arguments.models).get(arguments.model, "chat").path
    names = arguments.ways.split(",")
    servers = {name: opened(file, WAYS[name], arguments.guess) for name in names}
    rows = []
    for kind, messages in prompts.items():
        for server in servers.values():
            said(server, messages[0])
        told = {name: [] for name in names}  # type: dict[str, list[tuple[str, dict[str, Any]]]]
        for one in messages:
            for name, server in servers.items():
                told[name].append(said(server, one))
        rows += [row(kind, name, told[name], told[names[0]]) for name in names]
    report(f"lookup decoding, {arguments.model}; it is to make writing {GOAL} times as fast", rows, arguments.json)
    sys.stdout.flush()
    os._exit(0)  # llama.cpp's threads aren't waited for


def asked(count: int) -> dict[str, list[list[dict[str, str]]]]:
    """Prompts by kind: questions as the project asks them, and requests to repeat the best passage."""
    listed = json.loads((ROOT / "tests/data/sample_questions.json").read_text(encoding="utf-8"))
    questions = [one["question"] for one in listed if one["language"] == "en" and not one["history"]][:count]
    found: dict[str, list[list[dict[str, str]]]] = {"questions": [], "word for word": []}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), refuse_below=0, uncertain_below=0, k=2, readers=1)
        with KnowledgeBase(settings, embedder=RandomEmbeddings(), chat_model=mute()) as base:  # type: ignore[arg-type]
            base.ingest(ROOT / "sample_docs")
            for question in questions:
                reply = base.ask(question)
                found["questions"].append([{"role": "user", "content": str(reply.prompt[-1].text)}])
                text = f"{reply.hits[0].text}\n\nRepeat the text above word for word."
                found["word for word"].append([{"role": "user", "content": text}])
    return found


def mute() -> Any:
    """A model that isn't asked: the prompt is what is wanted."""
    from langchain_core.language_models.fake_chat_models import FakeListChatModel

    return FakeListChatModel(responses=["."])


def opened(file: Path, kind: str, guess: int) -> Any:
    """llama.cpp's server with a way of guessing; "" for none."""
    with waiting_asleep():
        import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.n_batch, params.n_ubatch = 4096, 1, 128, 128
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count() or 1
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.warmup, params.verbosity, params.offline, params.enable_reasoning = False, 0, True, 0
    if kind:
        params.speculative.types = [getattr(xllamacpp.common_speculative_type, f"COMMON_SPECULATIVE_TYPE_{kind}")]
        simple, mapped, mod = (
            params.speculative.ngram_simple,
            params.speculative.ngram_map_k,
            params.speculative.ngram_mod,
        )
        simple.size_n, simple.size_m = 3, guess
        mapped.size_n, mapped.size_m = 3, guess
        mod.n_match, mod.n_max = 3, guess
    return xllamacpp.Server(params)


def said(server: Any, messages: list[dict[str, str]]) -> tuple[str, dict[str, Any]]:
    """The answer, and the server's own times."""
    pieces: list[str] = []
    last: dict[str, Any] = {}

    def take(chunk: dict[str, Any]) -> bool:
        pieces.extend(choice["delta"].get("content") or "" for choice in chunk.get("choices", ()))
        last.update(chunk)
        return False

    body = {"messages": messages, "temperature": 0, "max_tokens": TOKENS, "stream": True, "cache_prompt": True}
    server.handle_chat_completions(body | {"stream_options": {"include_usage": True}}, take)
    return "".join(pieces), last["timings"]


def row(
    kind: str, name: str, told: list[tuple[str, dict[str, Any]]], plain: list[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    times = [one for _, one in told]
    tokens = sum(one["predicted_n"] for one in times)
    guessed, right = (sum(one.get(key, 0) for one in times) for key in ("draft_n", "draft_n_accepted"))
    spent = [sum(one["predicted_ms"] / one["predicted_n"] for _, one in which) for which in (plain, told)]
    return {
        "prompts": kind,
        "way": name,
        "tokens": tokens,
        "guessed": guessed,
        "right": right,
        "tokens a pass": tokens / max(1, tokens - right),
        "times as fast": spent[0] / spent[1],
        "same texts": sum(one == other for (one, _), (other, _) in zip(told, plain, strict=True)) / len(told),
    }


if __name__ == "__main__":
    main()
