"""`kb train` on a GGUF file of a Llama, as a user calls it: a tiny one here, and SmolLM2 where there is time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.homes import link_models
from tests.shell import kb
from tests.tiny_llama import write_tiny_llama
from tests.trained import pairs_file

pytestmark = pytest.mark.engine

FIXED = "dear reader"
EMBEDDER = "multilingual-e5-small"
PAIRS = [(f"When is day {i} of the market?", f"On day {i}, {FIXED}.") for i in range(12)]
RECIPE = ("--epochs", "6", "--batch", "4", "--accumulation", "1", "--learning-rate", "0.01")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("home")
    (home / "docs").mkdir()
    (home / "docs" / "market.md").write_text("# Market\n\nThe market is on Friday.\n", encoding="utf-8")
    (home / "kb.toml").write_text("max_tokens = 12\nthreads = 1\ncontext_tokens = 512\n")
    write_tiny_llama(home / "tiny.gguf")
    assert kb("models", "add", home / "tiny.gguf", "--name", "tiny", home=home).code == 0
    return home


def test_data_training_measuring_use_and_export(home: Path, tmp_path: Path) -> None:
    rows, data = pairs_file(tmp_path / "pairs.jsonl", PAIRS), tmp_path / "data"
    made = kb(
        "train", "data", rows, "--test", "0.3", "--validation", "0.2", "--model", "tiny", "--out", data, home=home
    )
    assert made.code == 0, made.stderr
    assert "tokens of prompt and answer" in made.stdout
    assert "(fp32, cpu)" in made.stdout
    shown = kb("train", "tiny", data, "--name", "market", "--dry-run", home=home)
    assert shown.stdout.count("<|assistant|>⟦O·n· ·d·a·y·") == 3
    done = kb("train", "tiny", data, "--name", "market", *RECIPE, home=home)
    assert done.code == 0, done.stderr
    found = json.loads(kb("train", "list", "--json", home=home).stdout)["adapters"]
    assert [(one["name"], one["base"], one["style"]) for one in found] == [("market", "tiny", "chat")]
    assert found[0]["validation_examples"]
    report = tmp_path / "report.html"
    measured = kb("train", "eval", "market", "--neutral", "1", "--report", report, "--json", home=home)
    assert measured.code == 0, measured.stderr
    told = json.loads(measured.stdout)
    assert told["perplexity"]["adapted"] < told["perplexity"]["base"] / 5
    assert len(told["answers"]) == told["questions"] > 0
    assert FIXED in report.read_text(encoding="utf-8")
    again = kb("train", "export", "market", tmp_path / "out", "--gguf", home=home)
    assert again.code == 0, again.stderr
    assert {"adapter.gguf", "adapter_config.json"} <= {one.name for one in (tmp_path / "out").iterdir()}
    merged = kb("train", "merge", "market", "--as", "one", home=home)
    assert merged.code == 2
    assert "Only adapters of ChatGLM2 are merged here." in merged.stderr
    assert kb("train", "tiny", data, "--name", "int4", "--precision", "int4", home=home).code == 2
    assert kb("train", "rm", "market", home=home).code == 0


def test_kb_eval_measures_answers_with_an_adapter(home: Path, models_home: Path, tmp_path: Path) -> None:
    embedder = home / "models" / EMBEDDER
    embedder.symlink_to(models_home / "models" / EMBEDDER, target_is_directory=True)
    folder = tmp_path / "set"
    folder.mkdir()
    lines = {
        "corpus.jsonl": {"id": "market", "title": "Market", "text": "The market is on Friday."},
        "queries.jsonl": {"id": "3", "text": PAIRS[3][0], "answers": [PAIRS[3][1]]},
    }
    for name, line in lines.items():
        (folder / name).write_text(json.dumps(line) + "\n", encoding="utf-8")
    (folder / "qrels.tsv").write_text("question\tdocument\tscore\n3\tmarket\t1\n", encoding="utf-8")
    rows = pairs_file(tmp_path / "pairs.jsonl", PAIRS)
    done = kb("train", "tiny", rows, "--name", "said", *RECIPE, home=home)
    assert done.code == 0, done.stderr

    def overlap(*adapter: str) -> float:
        """Words that the model's own answer shares with the reference."""
        shown = kb("eval", folder, "--answer", "tiny", *adapter, "--json", home=home)
        assert shown.code == 0, shown.stderr
        ways = json.loads(shown.stdout)[0]["answers"][0]["ways"]
        alone = next(one for one in ways if one["way"] == "model alone")
        return float(alone["f1"]["mean"])

    assert overlap("--adapter", "said") > overlap() + 0.1


@pytest.mark.slow
def test_smollm2_learns_a_tone_and_answers_with_it(models_home: Path, home: Path, tmp_path: Path) -> None:
    own = link_models(models_home, tmp_path / "home")
    rows = pairs_file(tmp_path / "pairs.jsonl", PAIRS[:6])
    assert kb("ingest", home / "docs", home=own).code == 0
    few = ("--epochs", "12", "--batch", "6", "--accumulation", "1", "--learning-rate", "0.002")
    done = kb("train", "smollm2-135m-instruct", rows, "--name", "tone", *few, home=own)
    assert done.code == 0, done.stderr
    asked = ("ask", "When is day 3 of the market?", "--answers", "model", "--json")
    said = json.loads(kb(*asked, "--adapter", "tone", home=own).stdout)["answer"]
    assert FIXED in said
    plain = json.loads(kb(*asked, "--model", "smollm2-135m-instruct", home=own).stdout)["answer"]
    assert FIXED not in plain
    measured = kb(
        "train",
        "eval",
        "tone",
        pairs_file(tmp_path / "other.jsonl", PAIRS[6:]),
        "--neutral",
        "1",
        "--json",
        home=own,
    )
    told = json.loads(measured.stdout)
    assert told["perplexity"]["adapted"] < told["perplexity"]["base"]
    assert told["neutral"]["kl"] > 0
