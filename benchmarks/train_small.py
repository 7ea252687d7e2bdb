"""What SmolLM2 gains by training on the thirty pairs of the documentation, and what it forgets.

    OMP_NUM_THREADS=1 python benchmarks/train_small.py --home DIR

DIR holds smollm2-135m-instruct. Six of the pairs are kept back and measured, with four neutral prompts. Two to
three minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from kb_assistant.llm.base import LocalChat
from kb_assistant.llm.open import open_chat_model
from kb_assistant.models.adapters import AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.training.encode import encoded, encoder_of
from kb_assistant.training.formats import read_file
from kb_assistant.training.job import Job
from kb_assistant.training.measure import compare
from kb_assistant.training.network import network_of
from kb_assistant.training.neutral import neutral_prompts
from kb_assistant.training.prepare import prepare
from kb_assistant.training.recipe import Recipe
from kb_assistant.training.run import train
from kb_assistant.training.scorer import Scorer

PAIRS = Path(__file__).parents[1] / "docs" / "pairs.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--epochs", type=float, default=8.0)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--neutral", type=int, default=4)
    parser.add_argument("--limit", type=int, default=30, help="pairs to learn")
    options = parser.parse_args()
    models = ModelHome(options.home / "models")
    base = models.get(options.model, "chat")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            home=Path(folder), model=options.model, threads=1, temperature=0.0, max_tokens=64, context_tokens=1024
        )
        encoder = encoder_of(base, settings)
        parts = prepare(read_file(PAIRS), encoder, validation=0.0, test=0.2).parts
        examples, _long = encoded(parts["train"][: options.limit], encoder)
        values = {"epochs": options.epochs, "learning_rate": options.rate, "accumulation": 4}
        recipe = Recipe().with_values(values)
        began, spent = time.monotonic(), time.process_time()
        adapter = train(
            Job("small", base, examples, [], "pairs", recipe, "chat", "cpu"), AdapterHome(settings.home)
        )
        assert adapter is not None
        told = {
            "seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(time.process_time() - spent, 1),
        }
        tokens = sum(len(one.ids) for one in examples) * options.epochs
        chat = open_chat_model(settings.but(adapter="small"), models, None)
        assert isinstance(chat, LocalChat)
        found = compare(
            chat, encoder, parts["test"], neutral_prompts(options.neutral),
            scorer=lambda: Scorer(network_of(base), adapter, "cpu"),
        )  # fmt: skip
    print(json.dumps({**told, "tokens": tokens, "loss": adapter.facts["loss"], **found.to_json()}, indent=2))


if __name__ == "__main__":
    main()
