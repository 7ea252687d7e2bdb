"""Training on the tiny model: learnt by heart and answered through both engines, broken off, and refused."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kb_assistant.answering.prompts import render
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.errors import ModelError, SettingsError, StoreError
from kb_assistant.llm.open import open_chat_model
from kb_assistant.models.adapters import Adapter, AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.training import checkpoints
from kb_assistant.training.encode import IGNORED, LARGE, Example, encoded, encoder_for
from kb_assistant.training.formats import read_file
from kb_assistant.training.job import Job
from kb_assistant.training.recipe import Recipe
from kb_assistant.training.run import train
from tests.trained import OVERFIT, PAIRS, home_with_models, pairs_file
from tests.waiting import ProcessorTime

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return home_with_models(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def examples(tiny: Path) -> list[Example]:
    rows = read_file(pairs_file(tiny / "pairs.jsonl")).conversations
    found, long = encoded(rows, encoder_for(read_checkpoint(tiny / "official")))
    assert not long
    return found


@pytest.fixture
def job(tiny: Path, examples: list[Example]) -> Job:
    """Twelve steps, a checkpoint after every three."""
    few = {"epochs": 3.0, "batch": 2, "accumulation": 2, "save_steps": 3, "dropout": 0.1}
    recipe = Recipe().with_values(OVERFIT | few)
    base = ModelHome(tiny / "models").get("tiny", "chat")
    return Job("short", base, examples[:16], [], "data", recipe, "chat", "cpu")


@pytest.fixture
def home(tmp_path: Path) -> AdapterHome:
    return AdapterHome(tmp_path)


def weights(home: AdapterHome, name: str = "short") -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(home.get(name).path("adapter_model.safetensors"))
    return tensors


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_twenty_pairs_are_learnt_by_heart_and_answered_through_both_engines(
    tiny: Path, examples: list[Example]
) -> None:
    models, adapters = ModelHome(tiny / "models"), AdapterHome(tiny)
    said: list[str] = []
    job = Job(
        "heart", models.get("tiny", "chat"), examples, [], "data", Recipe().with_values(OVERFIT), "chat", "cpu"
    )
    spent = ProcessorTime()
    adapter = train(job, adapters, said.append)
    assert adapter is not None
    assert adapter.facts["loss"] < 0.05
    settings = Settings(home=tiny, adapter="heart", temperature=0.0, threads=1, context_tokens=512, max_tokens=40)
    for model in ("tiny", "tiny-llama"):
        chat = open_chat_model(settings.but(model=model), models, None)
        answers = [chat.invoke(render(question, [], [], form=LARGE)) for question, _ in PAIRS]
        assert [str(one.content) for one in answers] == [answer for _, answer in PAIRS]
        assert {one.response_metadata["finish_reason"] for one in answers} == {"stop"}
        base = chat.bind(adapter_scale=0.0, max_tokens=12)
        plain = [str(base.invoke(render(question, [], [], form=LARGE)).content) for question, _ in PAIRS]
        assert not any(answer.startswith(one) for one, (_, answer) in zip(plain, PAIRS, strict=True) if one)
    assert spent.seconds < 20
    rows = [json.loads(line) for line in (adapter.folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 71))
    assert rows[-1].keys() >= {"loss", "learning_rate", "tokens_per_s", "seconds_left", "peak_bytes"}
    assert (adapter.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "loss" in said[0]
    assert "tokens/s" in said[0]
    assert sorted(file.name for file in adapters.folder.iterdir()) == ["heart"]


def test_the_loss_is_that_of_the_answers_alone(job: Job) -> None:
    """By hand: every token of the answer and its end, and nothing of the prompt; a padded row as alone."""
    from kb_assistant.training.base_model import load_base
    from kb_assistant.training.loss import answer_loss
    from kb_assistant.training.trainer import collated

    model = load_base(read_checkpoint(job.base.path), job.recipe, "cpu")
    rows = sorted(job.train, key=lambda one: len(one.ids))
    both = [rows[0], rows[-1]]
    by_hand = 0.0
    for one in both:
        logits = model(torch.tensor([one.ids])).logits[0].log_softmax(-1)
        by_hand -= float(sum(logits[place - 1, one.ids[place]] for place in range(one.prompt, len(one.ids))))
    batch = collated(both)
    assert batch["labels"].ne(IGNORED).sum() == sum(one.learned for one in both)
    assert float(answer_loss(model, batch["input_ids"], batch["labels"])) == pytest.approx(by_hand, rel=1e-5)


def stopping_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps - 1


def test_stopped_and_repeated_it_ends_bit_for_bit_alike(home: AdapterHome, job: Job) -> None:
    job = replace(job, recipe=replace(job.recipe, checkpointing=True))
    assert train(job, home) is not None
    whole = weights(home)
    for step in (4, 9):
        again = AdapterHome(home.folder.parent / f"stopped-{step}")
        assert train(job, again, stopped=stopping_after(step)) is None
        assert again.unfinished() == ["short"]
        with pytest.raises(ModelError, match="isn't trained to its end"):
            again.get("short")
        assert train(job, again) is not None
        assert same(weights(again), whole)
        rows = [json.loads(line) for line in (again.get("short").folder / "log.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == list(range(1, 13))


def test_a_cut_checkpoint_is_passed_over(home: AdapterHome, job: Job) -> None:
    assert train(job, home) is not None
    whole = weights(home)
    again = AdapterHome(home.folder.parent / "cut")
    assert train(job, again, stopped=stopping_after(7)) is None
    run = again.run_folder("short")
    newest = run / "checkpoint-7"
    for file in ("adapter_model.safetensors", "optimizer.safetensors", "state.json"):
        path = newest / file
        before = path.read_bytes()
        path.write_bytes(before[: len(before) // 2])
        assert not checkpoints.is_whole(newest)
        path.write_bytes(before)
        assert checkpoints.is_whole(newest)
    (newest / "whole.json").unlink()  # as after a power cut
    assert train(job, again) is not None
    assert same(weights(again), whole)


def test_other_data_or_settings_are_refused(home: AdapterHome, job: Job) -> None:
    assert train(job, home, stopped=stopping_after(4)) is None
    first, *rest = job.train
    for other, said in (
        (replace(job, data_sha256="other"), "other data"),
        (replace(job, train=[replace(first, ids=(*first.ids[:-2], 5, first.ids[-1])), *rest]), "other prompts"),
        (replace(job, recipe=replace(job.recipe, learning_rate=1e-3)), "other learning_rate"),
        (replace(job, base=replace(job.base, sha256="0")), "other base"),
    ):
        with pytest.raises(SettingsError, match=said):
            train(other, home)
    assert train(job, home) is not None
    with pytest.raises(SettingsError, match="There is an adapter 'short' already"):
        train(job, home)
    home.remove("short")
    assert home.trained() == []
    assert home.unfinished() == []


def test_checkpoints_of_nothing_known_are_neither_gone_on_from_nor_deleted(home: AdapterHome, job: Job) -> None:
    assert train(job, home, stopped=stopping_after(4)) is None
    told = home.run_folder("short") / "run.json"
    before = told.read_bytes()
    for spoil in (told.unlink, lambda: told.write_text("{")):
        spoil()
        with pytest.raises(SettingsError, match="missing or damaged") as caught:
            train(job, home)
        assert caught.value.hint == "Begin anew: kb train rm short"
    told.write_bytes(before)
    assert train(job, home) is not None


def test_nothing_pickled_is_written(home: AdapterHome, job: Job) -> None:
    train(job, home, stopped=stopping_after(4))
    files = [file for file in home.run_folder("short").rglob("*") if file.is_file() and "writer" not in file.name]
    assert {file.suffix for file in files} == {".json", ".jsonl", ".safetensors"}, files


def test_peak_memory_is_that_of_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from kb_assistant.training.progress import peak_bytes

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # a GPU that isn't trained on
    assert peak_bytes("cpu") >= before * 1024
    monkeypatch.setattr("sys.platform", "darwin")
    assert peak_bytes("cpu") < before * 1024


def test_the_first_loss_that_is_no_number_stops_it(
    home: AdapterHome, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kb_assistant.training import trainer

    real, calls = trainer.answer_loss, iter(range(10**6))

    def broken(*given: Any) -> torch.Tensor:
        loss = real(*given)
        return loss * float("nan") if next(calls) == 15 else loss  # in the eighth step

    monkeypatch.setattr(trainer, "answer_loss", broken)
    with pytest.raises(ModelError, match="After 7 steps the loss was no number") as caught:
        train(job, home)
    kept = home.run_folder("short") / "checkpoint-6"
    assert str(kept) in caught.value.hint
    assert checkpoints.is_whole(kept)
    monkeypatch.setattr(trainer, "answer_loss", real)
    assert train(replace(job, name="again", start=home.get(str(kept))), home) is not None


def test_it_ends_early_where_validation_gains_nothing(
    home: AdapterHome, job: Job, examples: list[Example]
) -> None:
    recipe = replace(job.recipe, epochs=30.0, learning_rate=0.05, patience=2)
    adapter = train(replace(job, recipe=recipe, validation=examples[16:]), home)
    assert adapter is not None
    assert adapter.facts["steps"] < 120
    rows = [json.loads(line) for line in (adapter.folder / "log.jsonl").read_text().splitlines()]
    measured = [row["validation_loss"] for row in rows if "validation_loss" in row]
    assert adapter.facts["validation_loss"] == min(measured)
    assert measured[-1] > min(measured)


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may be that this process writes, as a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing(home: AdapterHome, job: Job, small_files: Callable[[int], None]) -> None:
    assert train(job, home, stopped=stopping_after(4)) is None
    small_files(100_000)
    with pytest.raises(StoreError, match=r"checkpoint-6 can't be written") as caught:
        train(job, home)
    assert "the same command goes on" in caught.value.hint
    small_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert checkpoints.last_whole(home.run_folder("short")) == home.run_folder("short") / "checkpoint-4"
    other = AdapterHome(home.folder.parent / "other")
    assert train(job, home) is not None
    assert train(job, other) is not None
    assert same(weights(home), weights(other))


def test_a_training_begins_with_an_earlier_adapter(home: AdapterHome, job: Job) -> None:
    first = train(job, home)
    assert first is not None
    second = train(replace(job, name="second", start=first), home)
    assert second is not None
    assert second.facts["start"] == "short"
    losses = [
        json.loads((adapter.folder / "log.jsonl").read_text().splitlines()[0])["loss"]
        for adapter in (first, second)
    ]
    assert losses[1] < losses[0] / 2
    prefix, reader = home.folder.parent / "prefix", home.folder.parent / "reader"
    for folder in (prefix, reader):
        folder.mkdir()
    (prefix / "pytorch_model.bin").write_bytes(b"")
    Adapter(reader, "reader", "multilingual-e5-small", "0").write()
    shape = {"rank": 4, "alpha": 8.0, "targets": ("query_key_value",)}
    for name, said in (
        ("rank", "rank 8, not rank 4"),
        ("alpha", "alpha 16, not alpha 8"),
        ("targets", "not targets"),
    ):
        other = replace(job, name="third", start=first, recipe=job.recipe.with_values({name: shape[name]}))
        with pytest.raises(SettingsError, match=said):
            train(other, home)
    for folder, said in ((prefix, "is P-Tuning v2, which isn't trained here"), (reader, "is a reader")):
        with pytest.raises(ModelError, match=said):
            train(replace(job, name="third", start=home.get(str(folder))), home)
    assert "third" not in home.unfinished()
    dropped = train(replace(job, name="third", start=first, recipe=replace(job.recipe, dropout=0.0)), home)
    assert dropped is not None
    assert not same(weights(home, "second"), weights(home, "third"))  # which had a dropout of .1
    shutil.rmtree(first.folder)
    assert home.get("second").path("adapter.gguf").is_file()


def test_a_training_of_one_step_learns_something(home: AdapterHome, job: Job) -> None:
    """The first step of a rising rate has a rate of zero: a tenth of a few steps is none."""
    adapter = train(replace(job, recipe=replace(job.recipe, epochs=1.0, batch=16, accumulation=1)), home)
    assert adapter is not None
    assert adapter.facts["steps"] == 1
    assert any(bool(tensor.any()) for name, tensor in weights(home).items() if "lora_B" in name)
