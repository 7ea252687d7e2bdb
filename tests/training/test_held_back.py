"""What an adapter is measured on: nothing that it was trained with, wherever it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.model_folder import file_digest
from kb_assistant.models.adapters import LEARNED, Adapter
from kb_assistant.training.data import Conversation
from kb_assistant.training.formats import Read
from kb_assistant.training.held_back import held_back, keys
from kb_assistant.training.neutral import ALL, neutral_prompts
from kb_assistant.training.prepare import open_data, prepare, write_folder

PLACES = "harbour ferry library museum garden bakery chapel station bridge tower market school".split()
ROWS = [
    Conversation((("user", f"{verb} the {place}?"), ("assistant", "Ann")), source=f"a.csv:{n}")
    for n, (verb, place) in enumerate((verb, place) for place in PLACES for verb in ("who keeps", "when opens"))
]
GENERAL = [Conversation((("user", one), ("assistant", "It is so.")), source=one) for one in neutral_prompts(60)]


def folder(path: Path, seed: int = 0, mix: bool = True, test: float = 0.2) -> Path:
    write_folder(path, prepare(Read(ROWS), mix=Read(GENERAL) if mix else None, seed=seed, test=test))
    return path


def trained(path: Path, data: Path, *, knows: bool = True) -> Adapter:
    """An adapter's description, as a training on that data leaves it; of an earlier version without `knows`."""
    opened = open_data(data)
    path.mkdir()
    facts = {"data": str(data), "data_sha256": opened.sha256}
    if not knows:
        return Adapter(path, "lora", facts={"data_sha256": opened.sha256})
    (path / LEARNED).write_text("\n".join(keys((*opened.train, *opened.validation))))
    return Adapter(path, "lora", style="chat", files={LEARNED: file_digest(path / LEARNED)}, facts=facts)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "data")


@pytest.fixture
def adapter(tmp_path: Path, data: Path) -> Adapter:
    return trained(tmp_path / "adapter", data)


@pytest.mark.parametrize("knows", [True, False])
def test_the_test_part_is_measured_and_neutral_prompts_that_were_not_learned(
    tmp_path: Path, data: Path, knows: bool
) -> None:
    opened = open_data(data)
    learned = {one.question for one in (*opened.train, *opened.validation)}
    kept = [one.question for one in opened.neutral]
    found = held_back(trained(tmp_path / "adapter", data, knows=knows), data, 100)
    assert (found.questions, found.learned) == (opened.test, 0)
    assert kept
    assert list(found.neutral[: len(kept)]) == kept
    assert len(set(found.neutral)) == 100
    assert not learned & set(found.neutral)
    assert learned & set(neutral_prompts(60))  # a good many were
    assert len(held_back(trained(tmp_path / "other", data, knows=knows), data, ALL).neutral) == ALL - len(
        learned & set(neutral_prompts(ALL))
    )


def test_data_remade_with_another_seed_is_measured_without_what_was_learned(
    tmp_path: Path, adapter: Adapter
) -> None:
    learned = adapter.learned()
    counts = []
    for seed in range(1, 5):
        again = folder(tmp_path / f"again-{seed}", seed)
        test = open_data(again).test
        fresh = [one for one in test if not keys([one]) & learned]
        if fresh:
            found = held_back(adapter, again, 5)
            assert (found.questions, found.learned) == (fresh, len(test) - len(fresh))
            counts.append(found.learned)
        else:
            with pytest.raises(DatasetError, match="trained on"):
                held_back(adapter, again, 5)
    assert sum(counts) > 0


def test_of_the_file_that_the_data_was_made_of_only_the_rest_is_measured(
    tmp_path: Path, data: Path, adapter: Adapter
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(one.to_json()) + "\n" for one in ROWS), encoding="utf-8")
    found = held_back(adapter, file, 5)
    assert {one.question for one in found.questions} == {one.question for one in open_data(data).test}
    assert found.learned == len(ROWS) - len(found.questions)
    with pytest.raises(DatasetError, match="trained on"):  # as a file of which all is learned
        held_back(trained(tmp_path / "other", file, knows=False), file, 5)


def test_the_data_of_the_training_is_found_again_if_it_is_as_it_was(
    tmp_path: Path, data: Path, adapter: Adapter
) -> None:
    assert held_back(adapter, None, 5) == held_back(adapter, data, 5)
    folder(data, seed=9)
    with pytest.raises(DatasetError, match=r"is gone or has changed: .*data") as refused:
        held_back(adapter, None, 5)
    assert "kb train eval adapter DATA" in refused.value.hint
    (data / "report.json").unlink()
    with pytest.raises(DatasetError, match="is gone or has changed"):
        held_back(adapter, None, 5)
    with pytest.raises(DatasetError, match="isn't known which data"):
        held_back(trained(tmp_path / "older", folder(tmp_path / "more"), knows=False), None, 5)


def test_nothing_kept_back_is_told(tmp_path: Path) -> None:
    none = folder(tmp_path / "none", test=0)
    with pytest.raises(DatasetError, match="keeps no questions back"):
        held_back(trained(tmp_path / "adapter", none), none, 5)


def test_questions_of_a_file_are_asked_as_the_adapter_was_trained(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("question,answer\nwho is Bo,a cook\n", encoding="utf-8")
    for style, asked in (
        ("plain", "plain"),
        ("grounded,plain", "plain"),
        ("chat,plain", "chat"),
        ("chat", "chat"),
    ):
        (one,) = held_back(Adapter(tmp_path / style, "lora", style=style), file, 0).questions
        assert one.style == asked
