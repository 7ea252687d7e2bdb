"""The training goes down, goes on where it was, and writes what the reader loads. With a tiny random encoder."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from kb_assistant.models.home import ModelHome
from kb_assistant.reader.inputs import InputEncoder
from kb_assistant.reader.reader import Reader
from kb_assistant.training.reader.pairs import Group, Pair
from tests.embedding.encoders import random_encoder

pytestmark = pytest.mark.engine


def groups(epoch: int) -> list[Group]:
    """Ten questions, each with its passage and another's."""
    del epoch
    names = ["Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"]
    made = []
    for place, name in enumerate(names):
        text = f"The keeper of tower {place} is {name}."
        start = text.index(name)
        right = Pair(f"who keeps tower {place}", (), "", text, True, True, (start, start + 3))
        wrong = Pair(right.question, (), "", "Bread is baked at six.", False, False)
        made.append((right, wrong))
    return made


def test_losses_fall_and_what_is_written_is_read(models_home: Path, tmp_path: Path) -> None:
    import torch

    from kb_assistant.training.reader.network import ReaderNetwork
    from kb_assistant.training.reader.train import Schedule, train, write

    e5 = ModelHome(models_home / "models").get("multilingual-e5-small", "embedder")
    model = random_encoder(tmp_path / "tiny", e5, "bert", {"pooling_mode_mean_tokens": True})
    torch.manual_seed(0)
    network = ReaderNetwork(model.path, rank=4, frozen=0)
    encoder, lines = InputEncoder(model.path), []
    train(network, groups, encoder, Schedule(math.inf, 2000), tmp_path, say=lines.append)
    first, last = (float(line.rpartition(" ")[2]) for line in (lines[0], lines[-1]))
    assert last < first * 0.9
    before = {name: value.clone() for name, value in network.trained()}
    train(network, groups, encoder, Schedule(math.inf, 100), tmp_path, resume=True, say=lines.append)
    assert any(not torch.equal(before[name], value) for name, value in network.trained())

    write(network, tmp_path / "weights.safetensors", {"sets": ["own"]})
    right, wrong = Reader(model.path, tmp_path / "weights.safetensors").read(
        "who keeps tower 3", [("", "The keeper of tower 3 is Dan."), ("", "Bread is baked at six.")]
    )
    assert right
    assert wrong
    assert right.relevance > wrong.relevance
