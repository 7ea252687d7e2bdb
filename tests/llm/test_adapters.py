"""Adapters in both engines: their answers, the base from the same loaded model, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.lora import LoraShape
from kb_assistant.errors import ModelError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.base import role_texts
from kb_assistant.llm.llamacpp import LlamaCppChat
from kb_assistant.llm.open import open_chat_model, who_answers
from kb_assistant.llm.torch_chat import TorchChat
from kb_assistant.models.adapters import AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.training.data import Conversation
from kb_assistant.training.encode import encoder_for
from kb_assistant.types import Turn
from tests.chatglm2_data import TINY, TINY_INT4, copied, tensors
from tests.fakes import HashEmbeddings
from tests.lora import installed_adapter
from tests.prefixes import NAME, TOKENS, prefix_tensors

pytestmark = pytest.mark.engine

QUESTION = "hello world"
LONG = "one two three 四 五 " * 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in fp32 for both engines, another model, and an adapter on the first."""
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("home")
    models = ModelHome(home / "models")
    models.add(TINY, "tiny", engine="llama", precision="f32")
    models.add(TINY, "tiny-torch", engine="torch")
    models.add(TINY_INT4, "other", engine="torch")
    installed_adapter(home, "first", models.get("tiny-torch", "chat"), TINY)
    installed_adapter(
        home, "second", models.get("tiny-torch", "chat"), TINY, LoraShape(4, 32, ("k_proj", "v_proj", "down_proj"))
    )
    return home


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, temperature=0.0, max_tokens=12, threads=1, context_tokens=256, quantize="none")


def answer(settings: Settings, question: str = QUESTION, **options: Any) -> str:
    model = open_chat_model(settings, ModelHome(settings.models_dir), None)
    return str(model.bind(**options).invoke(question).content)


@pytest.mark.parametrize("name", ["first", "second"])
def test_both_engines_answer_alike_and_give_the_base_at_strength_0(settings: Settings, name: str) -> None:
    found = {}
    for model in ("tiny", "tiny-torch"):
        adapted, plain = settings.but(model=model, adapter=name), settings.but(model=model)
        known = {(one, 1.0): answer(adapted, one) for one in (QUESTION, LONG)}
        known |= {(one, 0.0): answer(plain, one) for one in (QUESTION, LONG)}
        assert len(set(known.values())) == 4
        chat = open_chat_model(adapted, ModelHome(settings.models_dir), None)  # one loaded model
        # Keys and values of a question, kept while the other one is answered, are of no use at another strength.
        asked = [(LONG, 1.0), (QUESTION, 0.0), (LONG, 0.0), (QUESTION, 1.0), (LONG, 1.0), (QUESTION, 0.0)]
        for question, scale in asked:
            said = str(chat.bind(adapter_scale=scale).invoke(question).content)
            assert said == known[question, scale], (question, scale)
        between = str(chat.bind(adapter_scale=0.5).invoke(QUESTION).content)
        assert between not in (known[QUESTION, 1.0], known[QUESTION, 0.0])
        found[model] = known[QUESTION, 1.0]
    # The llama.cpp file has fp16 factors and keys; a random network's answers part where two tokens are close.
    assert found["tiny"][:2] == found["tiny-torch"][:2]


def test_logits_of_the_file_for_llamacpp_are_those_of_torch(settings: Settings) -> None:
    """Teacher-forced: probabilities of the tokens of one answer, in both engines."""
    llama = open_chat_model(settings.but(model="tiny", adapter="first"), ModelHome(settings.models_dir), None)
    other = open_chat_model(
        settings.but(model="tiny-torch", adapter="first"), ModelHome(settings.models_dir), None
    )
    assert isinstance(llama, LlamaCppChat)
    assert isinstance(other, TorchChat)
    ids = [*other._template.prompt([("user", QUESTION)])]
    logits = other.engine._model(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1)
    body = {"prompt": ids, "max_tokens": 1, "temperature": 0.0, "logprobs": 10, "n_probs": 10}
    choices = [choice for event in llama.server.stream(body) for choice in event.get("choices", ())]
    top = next(one["logprobs"] for one in choices if one.get("logprobs"))["content"][0]["top_logprobs"]
    off = np.array([one["logprob"] - float(logits[one["id"]]) for one in top])
    assert len(top) == 10
    assert np.abs(off).max() < 0.05  # fp16 keys and factors; the adapter itself moves them by several


@pytest.mark.parametrize(("style", "bare"), [("plain", True), ("chat,plain", False)])
@pytest.mark.parametrize("model", ["tiny", "tiny-torch"])
def test_without_passages_it_is_asked_as_it_was_trained(
    settings: Settings, home: Path, style: str, bare: bool, model: str
) -> None:
    """Where it was trained on bare questions, nothing is added to them; passages bring rules as for any model."""
    name = f"{model}-{style.replace(',', '-')}"
    folder = shutil.copytree(home / "adapters" / "first", home / "adapters" / name)
    told = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    (folder / "adapter.json").write_text(json.dumps(told | {"style": style}), encoding="utf-8")
    asking = settings.but(adapter=name, model=model, answers="model", role="You are a clerk.", context_tokens=2048)
    before = Turn("what is a tide", "It rises.", cited=())
    said = [("user", before.question), ("assistant", before.answer), ("user", "and what is a moon")]
    row = Conversation((*said, ("assistant", "it shines")), "plain", learned="last")  # type: ignore[arg-type]
    trained = encoder_for(read_checkpoint(TINY), asking).messages(row)
    assert trained == said
    (home / "tides.md").write_text("# Tides\n\nThe tide table hangs in the hall.\n", encoding="utf-8")
    with KnowledgeBase(asking, embedder=HashEmbeddings()) as kb:
        kb.ingest(home / "tides.md")
        reply = kb.ask("and what is a moon", [before])
        assert str(reply)
        assert (role_texts(reply.prompt) == trained) is bare
        assert ("clerk" in str(reply.prompt)) is not bare
    with KnowledgeBase(asking.but(answers="documents", refuse_below=0.0), embedder=HashEmbeddings()) as kb:
        reply = kb.ask("where hangs the tide table")
        assert str(reply)
        assert "<passage>" in str(reply.prompt)
        assert "clerk" in str(reply.prompt)


def test_the_model_of_an_adapter_is_found_by_itself(settings: Settings) -> None:
    models = ModelHome(settings.models_dir)
    assert who_answers(settings.but(adapter="first"), models)[0] in ("tiny+first", "tiny-torch+first")
    with pytest.raises(ModelError, match=r"'first' was trained on 'tiny-torch', and 'other' isn't that model"):
        open_chat_model(settings.but(model="other", adapter="first"), models, None)
    with pytest.raises(ModelError, match="no adapter 'third'"):
        open_chat_model(settings.but(adapter="third"), models, None)
    for model in ("extract", "openai:gpt"):
        with pytest.raises(ModelError, match="takes no adapter"):
            open_chat_model(settings.but(model=model, adapter="first"), models, None)


@pytest.mark.parametrize("model", ["tiny", "tiny-torch"])
def test_a_damaged_adapter_is_refused(settings: Settings, model: str, tmp_path: Path) -> None:
    source = AdapterHome(settings.home).get("first")
    folder = copied_folder(source.folder, tmp_path / "cut")
    for file in ("adapter.gguf", "adapter_model.safetensors"):
        (folder / file).write_bytes((folder / file).read_bytes()[:-1])
    with pytest.raises(ModelError, match="it isn't as it was written"):
        answer(settings.but(model=model, adapter=str(folder)))
    (folder / "adapter.json").write_text("{}")
    with pytest.raises(ModelError, match="is no adapter"):
        answer(settings.but(model=model, adapter=str(folder)))
    (folder / "adapter.json").write_text('{"format": 99}')
    with pytest.raises(ModelError, match="another version"):
        answer(settings.but(model=model, adapter=str(folder)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "blk.0.attn_q.weight"}, r"the model has no blk\.0\.attn_q\.weight"),
        ({"suffixes": ("lora_a",)}, r"blk\.0\.attn_qkv\.weight\.lora_b is missing"),
        ({"columns": 96}, "the shape of"),
        ({"arch": "llama"}, "general.architecture is 'llama', not chatglm"),
        ({"kind": "model"}, "general.type is 'model', not adapter"),
    ],
)
def test_what_llamacpp_would_refuse_without_a_word_is_told(
    settings: Settings, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    from gguf import GGUFWriter

    from kb_assistant.model_folder import file_digest

    folder = copied_folder(AdapterHome(settings.home).get("first").folder, tmp_path / "odd")
    made = {"name": "blk.0.attn_qkv.weight", "suffixes": ("lora_a", "lora_b"), "columns": 128, "arch": "chatglm"}
    made |= {"kind": "adapter"} | changes
    writer = GGUFWriter(folder / "adapter.gguf", made["arch"])
    writer.add_type(made["kind"])
    writer.add_string("adapter.type", "lora")
    shapes = {"lora_a": (8, made["columns"]), "lora_b": (256, 8)}
    for suffix in made["suffixes"]:
        writer.add_tensor(f"{made['name']}.{suffix}", np.zeros(shapes[suffix], np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    content = json.loads((folder / "adapter.json").read_text())
    content["files"]["adapter.gguf"] = file_digest(folder / "adapter.gguf")
    (folder / "adapter.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=said):
        answer(settings.but(model="tiny", adapter=str(folder)))


def test_a_prefix_answers_in_torch_over_several_turns(settings: Settings, tmp_path: Path) -> None:
    """What it says is what the model says after the tokens that the prefix was made of."""
    table = {f"{NAME}{key}": one for key, one in prefix_tensors(load_model(TINY)).items()}
    official = tmp_path / "checkpoint-3000"
    official.mkdir()
    torch.save(table, official / "pytorch_model.bin")
    chat = open_chat_model(
        settings.but(model="tiny-torch", adapter=str(official)), ModelHome(settings.models_dir), None
    )
    assert isinstance(chat, TorchChat)
    for question in (QUESTION, QUESTION, QUESTION + " again"):  # fresh, kept whole, and kept in part
        ids = [*chat._template.prompt([("user", question)])]
        expected, plain = [], load_model(TINY)
        for _ in range(12):
            logits = plain(torch.tensor([[*TOKENS[0].tolist(), *ids, *expected]])).logits[0, -1]
            expected.append(int(logits[: chat._template.vocabulary_size].argmax()))
        text = b"".join(chat._template.token_bytes(one) for one in expected).decode(errors="replace")
        assert str(chat.invoke(question).content) == text.strip().rstrip("�")  # half a character isn't shown
    base = answer(settings.but(model="tiny-torch"))
    assert str(chat.bind(adapter_scale=0.0).invoke(QUESTION).content) == base
    with pytest.raises(ModelError, match=r"P-Tuning v2, which llama\.cpp can't run"):
        answer(settings.but(model="tiny", adapter=str(official)))


def test_a_folder_with_a_prefix_of_its_own_is_a_model_for_torch(settings: Settings, tmp_path: Path) -> None:
    """As ChatGLM2's own training writes it where all weights are saved; and where the prefix alone is."""
    table = {f"{NAME}{key}": one for key, one in prefix_tensors(load_model(TINY)).items()}
    folder = copied(TINY, tmp_path / "tuned", pre_seq_len=TOKENS.shape[1])
    save_file(tensors(TINY) | table, folder / "model.safetensors")
    models = ModelHome(tmp_path / "home" / "models")
    with pytest.raises(ModelError, match=r"has a prefix of P-Tuning v2, which llama\.cpp can't run"):
        models.add(folder, "tuned", engine="llama")
    models.add(folder, "tuned")
    mine = settings.but(home=tmp_path / "home", model="tuned")
    official = tmp_path / "checkpoint"
    official.mkdir()
    save_file(table, official / "model.safetensors")
    assert answer(mine) == answer(settings.but(model="tiny-torch", adapter=str(official)))
    with pytest.raises(ModelError, match="of its own"):
        answer(mine.but(adapter=str(official)))
    alone = copied(TINY, tmp_path / "alone", pre_seq_len=TOKENS.shape[1])
    save_file(table, alone / "model.safetensors")
    with pytest.raises(ModelError, match="holds a prefix of P-Tuning v2 alone"):
        models.add(alone, "alone")


def copied_folder(source: Path, target: Path) -> Path:
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target
