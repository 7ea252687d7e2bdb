"""A recipe is written with comments, read again, and says what is wrong with a value."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from kb_assistant.errors import SettingsError
from kb_assistant.training.recipe import ABOUT, Recipe


def test_what_is_written_is_read_again_and_each_value_is_explained(tmp_path: Path) -> None:
    recipe = Recipe(rank=16, targets=("query_key_value",), learning_rate=2e-4, epochs=5.0, checkpointing=False)
    recipe.write(tmp_path / "train.toml")
    assert Recipe.read(tmp_path / "train.toml") == recipe
    text = (tmp_path / "train.toml").read_text(encoding="utf-8")
    for field in fields(Recipe):
        assert f"# {ABOUT[field.name].splitlines()[-1]}\n{field.name} = " in text


def test_a_file_may_name_a_few_values_and_flags_win(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes("\ufeffrank = 4\r\nepochs = 2\r\n".encode())
    read = Recipe.read(tmp_path / "a.toml")
    assert read == Recipe(rank=4, epochs=2.0)
    assert read.with_values({"rank": 32, "epochs": None}) == Recipe(rank=32, epochs=2.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rang = 8", "no 'rang'"),
        ("rank = 0", "rank is 0"),
        ("rank = 8.5", "a whole number"),
        ("rank = true", "a whole number"),
        ("learning_rate = 0", "learning_rate is 0"),
        ("learning_rate = nan", "learning_rate is nan"),
        ("epochs = inf", "epochs is inf"),
        ("dropout = 1.0", "a share below 1"),
        ('precision = "int8"', "one of auto, int4"),
        ("targets = []", "a list of names"),
        ("targets = 3", "a list of names"),
        ("rank = ", "isn't a recipe"),
    ],
)
def test_an_impossible_recipe_is_refused_with_a_sentence(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(line, encoding="utf-8")
    with pytest.raises(SettingsError, match=said) as refused:
        Recipe.read(tmp_path / "a.toml")
    assert "kb train init" in refused.value.hint or "It has: " in refused.value.hint


def test_a_file_that_isnt_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        Recipe.read(tmp_path / "none.toml")
