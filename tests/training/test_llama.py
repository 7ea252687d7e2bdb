"""A GGUF file of a Llama: its numbers by torch are llama.cpp's, and what it learns is answered by llama.cpp."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kb_assistant.answering.prompts import render
from kb_assistant.chatglm2.lora import LoraShape, load_lora
from kb_assistant.errors import ModelError, SettingsError
from kb_assistant.llm.base import LocalChat, role_texts
from kb_assistant.llm.llamacpp import LlamaCppChat
from kb_assistant.llm.open import open_chat_model
from kb_assistant.model_folder import Model, file_digest
from kb_assistant.models.adapters import GGUF, Adapter, AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.training.encode import IGNORED, Encoder, encoded, encoder_of, marked
from kb_assistant.training.formats import read_file
from kb_assistant.training.gguf_adapter import write_gguf_adapter
from kb_assistant.training.job import Job
from kb_assistant.training.llama_file import load_llama, read_llama
from kb_assistant.training.measure import compare
from kb_assistant.training.plan import adapter_weights, plan, precision_for
from kb_assistant.training.recipe import Recipe
from kb_assistant.training.run import train
from kb_assistant.training.scorer import Scorer
from tests.lora import random_adapter
from tests.tiny_llama import SIZES, write_tiny_llama
from tests.trained import OVERFIT, pairs_file
from tests.waiting import ProcessorTime

pytestmark = pytest.mark.engine

PAIRS = [(f"What is part {i}?", f"It is {i * 7 % 20}.") for i in range(12)]
HEART = OVERFIT | {"epochs": 90.0, "rank": 16, "alpha": 32.0}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("home")
    ModelHome(home / "models").add(write_tiny_llama(home / "tiny.gguf"), "tiny")
    pairs_file(home / "pairs.jsonl", PAIRS)
    return home


@pytest.fixture(scope="module")
def model(home: Path) -> Model:
    return ModelHome(home / "models").get("tiny", "chat")


@pytest.fixture(scope="module")
def settings(home: Path) -> Settings:
    return Settings(home=home, model="tiny", threads=1, context_tokens=512, max_tokens=24, temperature=0.0)


@pytest.fixture(scope="module")
def encoder(model: Model, settings: Settings) -> Encoder:
    return encoder_of(model, settings)


@pytest.fixture(scope="module")
def job(home: Path, model: Model, encoder: Encoder) -> Job:
    examples, long = encoded(read_file(home / "pairs.jsonl").conversations, encoder)
    assert not long
    recipe = Recipe().with_values(HEART)
    return Job("heart", model, examples, [], "data", recipe, "chat", "cpu")


def opened(settings: Settings) -> LlamaCppChat:
    chat = open_chat_model(settings, ModelHome(settings.models_dir), None)
    assert isinstance(chat, LlamaCppChat)
    return chat


def test_the_ids_are_those_that_the_chat_reads(encoder: Encoder, settings: Settings) -> None:
    chat = opened(settings)
    for question in ("What is part 3?", "这是什么？ 𝄞", "a <|end|> b <|assistant|>", "\ud800"):
        asked = render(question, [], [], form=encoder.form)
        ids = encoder.template.prompt(role_texts(asked))
        assert len(ids) == chat.get_num_tokens_from_messages(asked)
        assert chat.invoke(asked, max_tokens=1).usage_metadata["input_tokens"] == len(ids)  # type: ignore[index]
        assert ids.count(0) == 1, "a control token within a text is text"
    assert encoder.form.native_history is chat.native_history is False
    answer = encoder.template.answer("the <|end|> 年")
    assert answer.count(0) == 1
    assert answer[-1] == 0
    assert b"".join(map(encoder.template.token_bytes, answer)).decode() == "the <|end|> 年"


def test_only_the_answer_and_its_end_are_learned(job: Job, encoder: Encoder) -> None:
    example = job.train[3]
    assert [i for i in example.labels if i != IGNORED] == list(encoder.template.answer("It is 1."))
    shown = marked(example, encoder.template)
    assert shown.endswith("What is part 3?<|end|><|assistant|>⟦I·t· ·i·s· ·1·.·<|end|>⟧")


@pytest.mark.parametrize(("kind", "tied", "off"), [("F32", True, 0.02), ("F16", False, 0.02), ("Q8_0", True, 0.1)])
def test_the_numbers_are_those_of_llamacpp_with_and_without_an_adapter(
    kind: str, tied: bool, off: float, tmp_path: Path
) -> None:
    """Teacher-forced: the likeliest next tokens in both engines, by the file and the adapter's file."""
    file = write_tiny_llama(tmp_path / "tiny.gguf", kind=kind, tied=tied)
    network = read_llama(file)
    names = tuple(name for name, _shape in network.layer_shapes())
    torch.manual_seed(1)
    random_adapter(load_llama(network, torch.float32, "cpu"), tmp_path, LoraShape(targets=names))
    write_gguf_adapter(tmp_path, network, tmp_path / GGUF)
    files = {one.name: file_digest(one) for one in tmp_path.iterdir() if one.name.startswith("adapter")}
    adapter = Adapter(tmp_path, "lora", "tiny", "0", "chat", files)
    chat = LlamaCppChat(model_path=file, adapter=adapter, context_tokens=256, threads=1)
    scorer = Scorer(network, adapter, "cpu")
    ids = [*range(40, 80)]
    found = {}
    for scale in (1.0, 0.0):
        body = {"prompt": ids, "max_tokens": 1, "temperature": 0.0, "logprobs": 10, "n_probs": 10}
        events = chat.server.stream({**body, "lora": [{"id": 0, "scale": scale}], "cache_prompt": False})
        choices = [choice for event in events for choice in event.get("choices", ())]
        top = next(one["logprobs"] for one in choices if one.get("logprobs"))["content"][0]["top_logprobs"]
        (ours,) = scorer.log_probabilities([*ids, 0], len(ids), scale)
        assert np.abs([one["logprob"] - float(ours[one["id"]]) for one in top]).max() < off
        found[scale] = ours
    assert float((found[1.0] - found[0.0]).abs().max()) > 0.5, "the adapter changes a good deal"
    plain = load_llama(network, torch.float32, "cpu")(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    assert torch.allclose(found[0.0], plain, atol=1e-5)
    assert load_lora(load_llama(network, torch.bfloat16, "cpu"), tmp_path).dtype == torch.bfloat16


def test_twelve_pairs_are_learnt_by_heart_and_measured(
    home: Path, job: Job, settings: Settings, encoder: Encoder
) -> None:
    spent = ProcessorTime()
    adapter = train(job, AdapterHome(home))
    assert adapter is not None
    assert adapter.facts["loss"] < 0.05
    chat = opened(settings.but(model="auto", adapter="heart"))
    asked = [render(question, [], [], form=encoder.form) for question, _ in PAIRS]
    said = [chat.invoke(one) for one in asked]
    assert [str(one.content) for one in said] == [answer for _, answer in PAIRS]
    assert {one.response_metadata["finish_reason"] for one in said} == {"stop"}
    plain = chat.bind(adapter_scale=0.0, max_tokens=8)
    assert not any(str(plain.invoke(one).content) in answer for one, (_, answer) in zip(asked, PAIRS, strict=True))
    rows = read_file(home / "pairs.jsonl").conversations[:4]
    measured = compare(
        chat, encoder, rows, ["Tell a story."], scorer=lambda: Scorer(read_llama(job.base.path), adapter, "cpu")
    )
    assert measured.measures["exact"]["adapted"].mean == 1
    assert measured.measures["exact"]["base"].mean == 0
    assert measured.perplexity is not None
    assert measured.perplexity.adapted < 1.1 < measured.perplexity.base
    assert spent.seconds < 25


def test_broken_off_it_goes_on_bit_for_bit(job: Job, tmp_path: Path) -> None:
    recipe = replace(job.recipe, epochs=4.0, batch=10, save_steps=3, checkpointing=True, dropout=0.1)
    job = replace(job, recipe=recipe)
    whole, parted = AdapterHome(tmp_path / "whole"), AdapterHome(tmp_path / "parted")
    first = train(job, whole)
    asked = iter(range(100))
    assert train(job, parted, stopped=lambda: next(asked) >= 4) is None
    second = train(job, parted)
    assert first is not None
    assert second is not None
    assert first.sha256 == second.sha256
    third = train(replace(job, name="third", start=first), whole)
    assert third is not None
    assert third.facts["start"] == "heart"


def test_what_it_takes_is_said_before(model: Model) -> None:
    network = read_llama(model.path)
    hidden, ffn, layers = (SIZES[name] for name in ("hidden", "ffn", "layers"))
    kv = hidden // SIZES["heads"] * SIZES["groups"]
    each = {"query_key_value": (hidden + hidden) + 2 * (hidden + kv), "dense": 2 * hidden}
    each |= {"dense_h_to_4h": 2 * (hidden + ffn), "dense_4h_to_h": hidden + ffn}
    assert adapter_weights(network, Recipe()) == layers * 8 * sum(each.values())
    one = Recipe(targets=("query_key_value",))
    assert adapter_weights(network, one) == layers * 8 * each["query_key_value"]
    assert adapter_weights(network, Recipe(targets=("q_proj",))) == layers * 8 * 2 * hidden
    found = plan(network, Recipe(), [(50, 10)] * 16)
    assert (found.precision, found.steps, found.fits) == ("fp32", 6, True)
    assert found.parts["weights"] == 4 * network.parameters
    for precision in ("int4", "nf4"):
        with pytest.raises(SettingsError, match=f"is trained unpacked, not in {precision}"):
            precision_for(network, Recipe(precision=precision), "cpu")
    assert precision_for(network, Recipe(precision="bf16"), "cpu") == "bf16"


def test_other_models_are_refused_with_the_reason(tmp_path: Path, settings: Settings) -> None:
    stretched = write_tiny_llama(tmp_path / "stretched.gguf", rope_scaling_type="yarn")
    with pytest.raises(ModelError, match=r"a variant of Llama: llama.rope.scaling.type differs"):
        read_llama(stretched)
    whole = write_tiny_llama(tmp_path / "whole.gguf").read_bytes()
    for before, after, said in (
        (b"llama", b"qwen3", "is of the architecture 'qwen3'"),
        (b"blk.1.attn_q.weight", b"blk.1.attn_q.wEight", "a variant of Llama"),
        (b"llama.block_count", b"llama.block_c0unt", "a variant of Llama: llama.block_count"),
        (b"GGUF", b"GGLA", "is no GGUF file"),
    ):
        other = tmp_path / "other.gguf"
        other.write_bytes(whole.replace(before, after, 1))
        with pytest.raises(ModelError, match=said):
            read_llama(other)
    folder = Model("folder", "chat", tmp_path, "0")
    with pytest.raises(ModelError, match="isn't a ChatGLM2, and no GGUF file either"):
        encoder_of(folder, settings)


def test_an_adapter_is_refused_on_another_file(home: Path, settings: Settings, tmp_path: Path) -> None:
    models = ModelHome(home / "models")
    models.add(write_tiny_llama(tmp_path / "other.gguf", seed=1), "other")
    folder = AdapterHome(home).folder / "here"
    folder.mkdir(parents=True)
    Adapter(folder, "lora", "tiny", models.get("tiny", "chat").base_sha256, "chat").write()
    with pytest.raises(ModelError, match="was trained on 'tiny', and 'other' isn't that model"):
        opened(settings.but(model="other", adapter="here"))
    assert isinstance(opened(settings.but(model="tiny", adapter="here")), LocalChat)


def test_the_rows_of_both_orders_are_each_others() -> None:
    from kb_assistant.training.llama_file import halved, interleaved

    rows = torch.arange(48.0).reshape(12, 4)
    assert torch.equal(interleaved(halved(rows, 2), 2), rows)
    assert [int(one[0]) // 4 for one in interleaved(rows, 2)] == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
