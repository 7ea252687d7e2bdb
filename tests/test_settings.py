"""Settings: four places in order, and a mistake in any is said with its place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import KBError, SettingsError
from kb_assistant.settings import OLD_NAMES, Settings, defaults, origins, write_setting


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*(field.name for field in fields(Settings)), *OLD_NAMES):
        monkeypatch.delenv(f"KB_{name.upper()}", raising=False)
    monkeypatch.setenv("KB_HOME", str(tmp_path))


def write(tmp_path: Path, text: str) -> None:
    (tmp_path / "kb.toml").write_text(text, encoding="utf-8")


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().k == 5
    write(tmp_path, "k = 6\nmodel = 'extract'\nkb = '知识库'\n")
    assert (Settings.load().k, Settings.load().model, Settings.load().kb) == (6, "extract", "知识库")
    monkeypatch.setenv("KB_K", "7")
    assert Settings.load().k == 7
    assert Settings.load(k=8).k == 8
    assert Settings.load(k=None).k == 7, "None is a flag that wasn't given"
    assert Settings.load(k=8).model == "extract"


def test_every_setting_can_be_set_in_each_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own: dict[str, Any] = {
        "context_tokens": 4096,
        "overlap": 2,
        "quantize": "nf4",
        "answer_reader": "off",
        "rewrite": "model",
        "answers": "documents-first",
        "answer_length": "80",
        "prompt_template": "{passages} {question}",
        "store": "postgresql://kb@db.example/team",
        "uploads": "/srv/kb/uploads",
        "index": "server",
        "telemetry": "https://watch.example:4318/otlp",
    }
    values: dict[str, Any] = {
        field.name: {"str": "cpu", "int": 64, "float": 0.5}[str(field.type).removesuffix(" | None")]
        for field in fields(Settings)
        if field.name not in ("home", *own)
    } | own
    write(tmp_path, "\n".join(f"{name} = {value!r}" for name, value in values.items()))
    from_file = Settings.load()
    assert {name: getattr(from_file, name) for name in values} == values
    (tmp_path / "kb.toml").unlink()
    for name, value in values.items():
        monkeypatch.setenv(f"KB_{name.upper()}", str(value))
    assert Settings.load() == from_file
    assert Settings.load(**values) == from_file


def test_home_comes_from_flag_or_environment_and_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings.load().home == tmp_path
    assert Settings.load(home="~/x").home == Path.home() / "x"
    monkeypatch.chdir(tmp_path)
    assert Settings.load(home=Path("here")).home == tmp_path / "here"
    monkeypatch.delenv("KB_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Settings.load().home.name == "kb-assistant"


def test_nothing_is_read_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    write(folder, 'base_url = "http://evil.example"\n')
    (folder / ".env").write_text("KB_MODEL=openai:x\n")
    monkeypatch.chdir(folder)
    assert (Settings.load().base_url, Settings.load().model) == ("", "auto")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("colour = 'red'\n", "Unknown setting 'colour'", "chunk_tokens"),
        ("k = 'many'\n", "k = 'many'", "a whole number"),
        ("k = 6.7\n", "k = 6.7", "a whole number"),
        ("k = true\n", "k = True", "a whole number"),
        ("k = 0\n", "k = 0", "at least 1"),
        ("chunk_tokens = 8\n", "chunk_tokens = 8", "at least 32"),
        ("overlap = 4\n", "overlap = 4", "from 0 to 3"),
        ("overlap = -1\n", "overlap = -1", "from 0 to 3"),
        ("max_tokens = 5000\ncontext_tokens = 2048\n", "context_tokens = 2048", "more than max_tokens"),
        ("quantize = 'int2'\n", "quantize = 'int2'", "nf4"),
        ("device = 'tpu'\n", "device = 'tpu'", "cpu or cuda"),
        ("answer_length = 'brief'\n", "answer_length = 'brief'", "long or a number of words from 5 to 10000"),
        ("answer_length = 2\n", "answer_length = '2'", "from 5"),
        ("answer_language = '{x}'\n", "answer_language", "code or name"),
        ('role = "a\\nb"\n', "role", "one line"),
        ("prompt_template = '{question}'\n", "prompt_template", "{passages} and {question}"),
        ("prompt_template = '{question} {passages} {secret}'\n", "prompt_template", "at most {role}"),
        ("prompt_template = '{question} {passages.x}'\n", "prompt_template", "at most {role}"),
        ("prompt_template = '{question!r} {passages}'\n", "prompt_template", "at most {role}"),
        ("prompt_template = '{question} {passages} {'\n", "prompt_template", "doubled"),
        ("temperature = -1\n", "temperature", "0 or more"),
        ("home = '/x'\n", "'home' can't be set", "KB_HOME"),
        ("kb = '../x'\n", "'../x' can't name", "letters"),
        ("k 5\n", "can't be read", "Mend"),
        ("[k]\nx = 1\n", "k = {'x': 1}", "a whole number"),
    ],
)
def test_a_mistake_in_the_file_is_said(tmp_path: Path, text: str, message: str, hint: str) -> None:
    write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_mistake_names_the_place_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "colour = 1\n")
    with pytest.raises(SettingsError, match=r"kb\.toml"):
        Settings.load()
    write(tmp_path, "")
    monkeypatch.setenv("KB_K", "many")
    with pytest.raises(SettingsError, match="environment"):
        Settings.load()
    with pytest.raises(SettingsError, match="arguments"):
        Settings.load(colour=1)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "x" * 65, "a b", "a\n", "-/"])
def test_a_knowledge_base_cannot_be_named_like_a_path(name: str) -> None:
    with pytest.raises(SettingsError):
        Settings.load(kb=name)


def test_foreign_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_LAYOUT", "de")
    monkeypatch.setenv("KB_MODEL", "")
    assert Settings.load().model == "auto", "an empty variable isn't set"


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "kb.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="can't be read"):
        Settings.load()
    (tmp_path / "kb.toml").unlink()
    (tmp_path / "kb.toml").mkdir()
    with pytest.raises(SettingsError, match="can't be read"):
        Settings.load()


SAVED = "# 设置，知识库 – réglages\nk\t=\t7\n\tmodel = 'extract'\nrole = '你是茶園的服務台。'\n"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_a_file_is_read_as_editors_save_it(tmp_path: Path, encoding: str, ends: str) -> None:
    text = SAVED.replace("\n", ends)
    data = ("\ufeff" + text).encode("utf-16-be") if encoding == "utf-16-be-mark" else text.encode(encoding)
    (tmp_path / "kb.toml").write_bytes(data)
    now = Settings.load()
    assert (now.k, now.model, now.role) == (7, "extract", "你是茶園的服務台。")
    write_setting(tmp_path, "k", 8)
    kept = (tmp_path / "kb.toml").read_bytes()
    assert kept.decode("utf-8") == SAVED.replace("7", "8").replace("\n", "\r\n" if ends == "\r\n" else "\n")
    assert Settings.load() == now.but(k=8)


@pytest.mark.parametrize(
    "data",
    [
        "k = 7\n# 每次给模型的段落数\n".encode("gbk"),
        "k = 7\n# 每次給模型的段落數\n".encode("big5"),
        "k = 7\nrole = 'réponds'\n".encode("latin-1"),
    ],
)
def test_a_file_in_another_encoding_names_its_line_and_stays(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "kb.toml").write_bytes(data)
    for read in (Settings.load, lambda: write_setting(tmp_path, "k", 5)):
        with pytest.raises(SettingsError, match="line 2 isn't UTF-8") as caught:
            read()
        assert "Save it as UTF-8" in caught.value.hint
    assert (tmp_path / "kb.toml").read_bytes() == data


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("seed = 1\nmodel = “extract”\n", 'Line 2 has “ in place of ".'),
        ("model = ‘extract’\n", "Line 1 has ‘ in place of '."),
        ("k ＝ 7\n", "Line 1 has ＝ in place of =."),
        ("role = '“Ask me”, it said'\nk 7\n", "Mend or delete the file."),
    ],
)
def test_characters_that_look_like_those_of_toml_are_named(tmp_path: Path, text: str, hint: str) -> None:
    write(tmp_path, text)
    with pytest.raises(SettingsError, match="can't be read") as caught:
        Settings.load()
    assert caught.value.hint == hint


def test_settings_change_only_as_copies() -> None:
    settings = Settings.load()
    assert settings.but(k=9).k == 9
    assert settings.k == 5
    with pytest.raises(AttributeError):
        settings.k = 9  # type: ignore[misc]
    with pytest.raises(SettingsError):
        settings.but(k=0)


def test_a_setting_is_written_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    write(tmp_path, "# mine\nk = 6  # enough\nmodel = 'extract'\n")
    write_setting(tmp_path, "k", "7")
    write_setting(tmp_path, "refuse_below", 0.25)
    assert (
        tmp_path / "kb.toml"
    ).read_text() == "# mine\nk = 7  # enough\nmodel = 'extract'\nrefuse_below = 0.25\n"
    write_setting(tmp_path, "k", None)
    write_setting(tmp_path, "seed", None)
    assert (tmp_path / "kb.toml").read_text() == "# mine\nmodel = 'extract'\nrefuse_below = 0.25\n"
    assert (Settings.load().k, Settings.load().refuse_below) == (5, 0.25)


def test_every_default_can_be_written_and_read_again(tmp_path: Path) -> None:
    for name, value in defaults().items():
        if name != "home":
            write_setting(tmp_path / "new", name, value)
    assert Settings.load(home=tmp_path / "new") == Settings(tmp_path / "new")


@pytest.mark.parametrize(
    ("name", "value"),
    [("home", "/x"), ("colour", "blue"), ("k", "many"), ("k", 0), ("device", "tpu"), ("context_tokens", 10)],
)
def test_what_is_impossible_is_not_written(tmp_path: Path, name: str, value: Any) -> None:
    write(tmp_path, "k = 6\n")
    with pytest.raises(SettingsError):
        write_setting(tmp_path, name, value)
    assert (tmp_path / "kb.toml").read_text() == "k = 6\n"


def test_a_wrong_value_can_be_written_over_and_a_damaged_file_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "k = 'many'\n")
    write_setting(tmp_path, "k", 4)
    assert Settings.load().k == 4
    write(tmp_path, "k = = 4\n")
    with pytest.raises(SettingsError, match="can't be read"):
        write_setting(tmp_path, "k", 5)
    assert (tmp_path / "kb.toml").read_text() == "k = = 4\n"


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KBError, match="can't be written"):
        write_setting(tmp_path / "file", "k", 5)


def test_what_other_places_rule_out_is_not_written_and_can_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_MAX_TOKENS", "4000")
    for more in ({}, {"max_tokens": 5000}):
        with pytest.raises(SettingsError, match="context_tokens"):
            write_setting(tmp_path, "context_tokens", 1000, **more)
    assert not (tmp_path / "kb.toml").exists()
    write(tmp_path, "context_tokens = 1000\n")
    write_setting(tmp_path, "context_tokens", None)
    assert Settings.load().context_tokens is None


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    names = ["k", "seed", "threads", "readers", "file_megabytes", "archive_members", "chunk_tokens", "max_tokens"]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: write_setting(tmp_path, name, 64), names))
    assert all(getattr(Settings.load(), name) == 64 for name in names)


def test_where_each_comes_from_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "k = 6\nseed = 1\nmodel = 'extract'\n")
    monkeypatch.setenv("KB_K", "7")
    told = origins(model="auto", threads=None)
    assert {name: told.get(name) for name in ("k", "seed", "model", "threads")} == {
        "k": "environment",
        "seed": str(tmp_path / "kb.toml"),
        "model": "arguments",
        "threads": None,
    }


def test_old_names_work_in_the_file_and_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "floor = 0.2\ncertain = 0.6\n")
    assert (Settings.load().refuse_below, Settings.load().uncertain_below) == (0.2, 0.6)
    monkeypatch.setenv("KB_FLOOR", "0.3")
    assert Settings.load().refuse_below == 0.3
    places = {"refuse_below": "environment", "uncertain_below": str(tmp_path / "kb.toml")}
    assert origins() == {"home": "environment", **places}
    assert Settings.load(refuse_below=0.4).refuse_below == 0.4


def test_where_a_place_has_both_names_the_new_one_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("floor = 0.2\nrefuse_below = 0.3\n", "refuse_below = 0.3\nfloor = 0.2\n"):
        write(tmp_path, text)
        assert Settings.load().refuse_below == 0.3
    monkeypatch.setenv("KB_FLOOR", "0.4")
    monkeypatch.setenv("KB_REFUSE_BELOW", "0.5")
    assert Settings.load().refuse_below == 0.5


@pytest.mark.parametrize("name", ["floor", "refuse_below"])
def test_what_is_written_has_the_new_name_in_the_old_ones_place(tmp_path: Path, name: str) -> None:
    write(tmp_path, '# low\n"floor" = 0.2  # was 0.3\n\nk = 6 # enough\ncertain=0.6\n')
    write_setting(tmp_path, name, "0.25")
    assert (tmp_path / "kb.toml").read_text() == (
        "# low\nrefuse_below = 0.25  # was 0.3\n\nk = 6 # enough\ncertain=0.6\n"
    )
    write(tmp_path, "floor = 0.2\nk = 6\nrefuse_below = 0.3\n")
    write_setting(tmp_path, name, 0.25)
    assert (tmp_path / "kb.toml").read_text() == "k = 6\nrefuse_below = 0.25\n"
    for text in ("floor = 0.2\nk = 6\n", "floor = 0.2\nk = 6\nrefuse_below = 0.3\n"):
        write(tmp_path, text)
        write_setting(tmp_path, name, None)
        assert (tmp_path / "kb.toml").read_text() == "k = 6\n"


def test_an_impossible_value_under_an_old_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "k = 6\n")
    with pytest.raises(SettingsError):
        write_setting(tmp_path, "floor", 2)
    assert (tmp_path / "kb.toml").read_text() == "k = 6\n"
    write(tmp_path, "floor = 2\n")
    with pytest.raises(SettingsError):
        Settings.load()
