"""Base against adapted: from one loaded model, the same figures as by hand."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.lora import load_lora
from kb_assistant.llm.base import LocalChat
from kb_assistant.llm.open import open_chat_model
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.training.data import Conversation
from kb_assistant.training.encode import Encoder, Example, encoder_of
from kb_assistant.training.formats import Read
from kb_assistant.training.measure import compare
from kb_assistant.training.neutral import neutral_prompts, replayed
from kb_assistant.training.prepare import prepare, write_folder
from tests.chatglm2_data import TINY
from tests.fakes import ScriptedChat
from tests.lora import installed_adapter
from tests.shell import kb, kb_here

pytestmark = pytest.mark.engine

ASKED = [
    Conversation((("user", f"question {n} of the day"), ("assistant", f"answer {n}")), source=f"a:{n}")
    for n in range(3)
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("home")
    models = ModelHome(home / "models")
    models.add(TINY, "tiny", engine="torch")
    models.add(TINY, "tiny-llama", engine="llama", precision="f32")
    installed_adapter(home, "first", models.get("tiny", "chat"), TINY)
    (home / "kb.toml").write_text('max_tokens = 8\nquantize = "none"\nthreads = 1\ncontext_tokens = 512\n')
    return home


def opened(home: Path, model: str = "tiny") -> tuple[LocalChat, Encoder]:
    settings = Settings.load(home=home, model=model, adapter="first").but(temperature=0.0)
    models = ModelHome(settings.models_dir)
    chat = open_chat_model(settings, models, None)
    assert isinstance(chat, LocalChat)
    return chat, encoder_of(models.get(model, "chat"), settings)


def by_hand(model: Any, encoder: Encoder) -> tuple[float, torch.Tensor]:
    """Perplexity of all answers, and log-probabilities at their tokens."""
    rows, right = [], []
    for one in ASKED:
        (example,) = encoder.encode(one)
        assert isinstance(example, Example)
        with torch.no_grad():
            logits = model(torch.tensor([example.ids])).logits[0].float()
        rows.append(torch.log_softmax(logits[example.prompt - 1 : -1], dim=-1))
        right += list(example.ids[example.prompt :])
    found = torch.cat(rows)
    return float((-found[range(len(right)), right].mean()).exp()), found


def test_perplexity_and_divergence_equal_those_by_hand(home: Path) -> None:
    chat, encoder = opened(home)
    found = compare(chat, encoder, ASKED, [])
    base, before = by_hand(load_model(TINY), encoder)
    adapted, after = by_hand(load_lora(load_model(TINY), home / "adapters" / "first"), encoder)
    assert found.perplexity
    assert found.perplexity.base == pytest.approx(base, rel=1e-3)
    assert found.perplexity.adapted == pytest.approx(adapted, rel=1e-3)
    assert found.perplexity.kl == pytest.approx(float((before.exp() * (before - after)).sum(-1).mean()), rel=1e-3)
    assert found.perplexity.kl > 0.01
    assert found.perplexity.tokens == len(before)


def test_both_models_answers_are_their_own(home: Path) -> None:
    found = compare(*opened(home), ASKED, [])
    settings = Settings.load(home=home, model="tiny").but(temperature=0.0)
    chat, encoder = open_chat_model(settings, ModelHome(settings.models_dir), None), opened(home)[1]
    for one, asked in zip(found.answers, ASKED, strict=True):
        assert one.base == str(chat.invoke(encoder.chat_messages(asked)).text).strip()
        assert one.base != one.adapted
        assert (one.question, one.reference, one.source) == (asked.question, asked.answer, asked.source)
    assert found.measures["exact"]["base"].mean == 0
    assert found.measures["rouge-l"]["gained"].count == 3


def test_llama_cpp_measures_answers_without_probabilities(home: Path) -> None:
    torch_found = compare(*opened(home), ASKED[:1], [])
    found = compare(*opened(home, "tiny-llama"), ASKED[:1], neutral_prompts(2))
    assert (found.perplexity, found.neutral) == (None, None)
    assert [(one.base, one.adapted) for one in found.answers] == [
        (one.base, one.adapted) for one in torch_found.answers
    ]


def test_neutral_prompts_are_drawn_in_both_languages_each_once() -> None:
    drawn = neutral_prompts(240)
    assert len(set(drawn)) == 240
    assert drawn[:20] == neutral_prompts(20)
    assert drawn != neutral_prompts(240, seed=1)
    assert sum("？" in one or "。" in one for one in drawn) == 120


def test_replay_leaves_out_answers_that_were_cut(home: Path) -> None:
    chat, encoder = opened(home)
    shares: list[float] = []
    assert replayed(chat, neutral_prompts(2), encoder, shares.append) == []  # the tiny model never ends
    assert shares == [0.5, 1.0]


@pytest.mark.parametrize(
    ("said", "finish", "kept"),
    [("It falls. ", "stop", ["It falls."]), ("It fa", "length", []), ("", "stop", []), ("caf\ufffd", "stop", [])],
)
def test_replay_keeps_whole_answers(home: Path, said: str, finish: str, kept: list[str]) -> None:
    chat: Any = ScriptedChat(pieces=[said], finish=finish)
    made = replayed(chat, ["What is rain?"], opened(home)[1])
    assert [one.answer for one in made] == kept
    assert chat.prompts[0][-1].content == "What is rain?"


def test_the_command_compares_and_writes_a_page(home: Path, tmp_path: Path) -> None:
    more = [Conversation((("user", f"{word} opens when?"), ("assistant", "at nine"))) for word in "abcdefgh"]
    write_folder(tmp_path / "data", prepare(Read([*ASKED, *more]), test=0.3))
    page = tmp_path / "page.html"
    command = ("train", "eval", "first", tmp_path / "data", "--model", "tiny", "--neutral", "2", "--limit", "2")
    done = kb(*command, "--report", page, "--json", home=home)
    assert done.code == 0, done.stderr
    assert (done.json["adapter"], done.json["model"], done.json["questions"]) == ("first", "tiny", 2)
    assert done.json["perplexity"]["adapted"] > 1
    assert done.json["measures"]["bleu-4"].keys() == {"base", "adapted", "gained"}
    html = page.read_text(encoding="utf-8")
    assert "<svg" in html
    assert '<table class="texts"><tr><th>question</th>' in html  # answers are broken into lines, side by side
    assert done.json["answers"][0]["question"] in html
    told = kb(*command, home=home)
    assert "perplexity of right answers: base " in told.stdout
    assert "rouge-l  base " in told.stdout


def test_what_was_learned_is_not_measured_on(home: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "data", prepare(Read(ASKED), test=0, validation=0))
    done = kb("train", "eval", "first", tmp_path / "data", "--model", "tiny", "--json", home=home)
    assert (done.code, "keeps no questions back" in done.json["error"]) == (2, True)
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(ASKED[0].to_json()), encoding="utf-8")
    from kb_assistant.training.prepare import open_data

    folder = home / "adapters" / "first"
    kept = (folder / "adapter.json").read_text(encoding="utf-8")
    told = json.loads(kept) | {"data_sha256": open_data(file).sha256}
    (folder / "adapter.json").write_text(json.dumps(told), encoding="utf-8")
    done = kb("train", "eval", "first", file, "--model", "tiny", "--json", home=home)
    (folder / "adapter.json").write_text(kept, encoding="utf-8")
    assert (done.code, "trained on" in done.json["error"]) == (2, True)


def test_answers_from_documents_are_compared_too(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command of adapters, without and with one; by kb eval, with it."""
    run = partial(kb_here, monkeypatch, home)
    (tmp_path / "tides.md").write_text("# Tides\n\nThe tide table hangs in the hall.\n", encoding="utf-8")
    (tmp_path / "asked.jsonl").write_text(
        json.dumps({"text": "where hangs the tide table", "source": "tides.md", "answers": ["in the hall"]}) + "\n"
    )
    (tmp_path / "other.csv").write_text("question,answer\nwho,Ann\n", encoding="utf-8")
    run("ingest", tmp_path / "tides.md", "--kb", "tides")
    options = ("--kb", "tides", "--questions", tmp_path / "asked.jsonl", "--json")
    done = run("train", "eval", "first", tmp_path / "other.csv", "--model", "tiny", "--neutral", "0", *options)
    assert done.returncode == 0, done.stderr
    both = json.loads(done.stdout)["grounded"]
    assert [one["model"] for one in both] == ["tiny", "tiny+first"]
    assert [one["questions"] for one in both] == [1, 1]
    assert both[0]["ways"] != both[1]["ways"]
    done = run("eval", "--mine", "--answer", "tiny", "--adapter", "first", *options)
    assert done.returncode == 0, done.stderr
    (answers,) = json.loads(done.stdout)[0]["answers"]
    assert answers["ways"] == both[1]["ways"]
