"""Messages keep their template and values, and each of them has its Chinese."""

from __future__ import annotations

import ast
import copy
import io
import json
import pickle
import re
import sqlite3
import symtable
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
import typer
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.cli import app
from kb_assistant.cli.help import help_texts
from kb_assistant.errors import KBError
from kb_assistant.messages import LOCALE, Message, _, from_json, join, reason_of, to_json, translate
from kb_assistant.settings import meanings
from kb_assistant.store.records import read_reason, written_reason
from tests.samples import ROOT

LANGUAGES = sorted(folder.name for folder in LOCALE.iterdir())
PACKAGES = ("kb_assistant", "ingest", "ui")


def catalogue(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES" / "kb_assistant.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def templates() -> dict[str, str]:
    """All that the source says, each with a place where it does."""
    marked = {
        str(message): f"{package}/{file}:{line}"
        for package in PACKAGES
        for file, line, message, _comments, _context in extract_from_dir(
            ROOT / package, method_map=[("**.py", "python")], keywords={"_": None}
        )
    }
    helped = dict.fromkeys(help_texts(typer.main.get_command(app)), "the help of the commands")
    return marked | helped | dict.fromkeys(meanings().values(), "the meanings of the settings")


def placeholders(template: str) -> list[tuple[str, str, str]]:
    found = [(name, spec or "", how or "") for _text, name, spec, how in Formatter().parse(template) if name]
    return sorted(set(found))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_and_nothing_else_is(language: str) -> None:
    known = catalogue(language)
    there = {one.id for one in known if one.string}
    lacking = [f"{where}: {text!r}" for text, where in templates().items() if text not in there]
    assert not lacking, "`make messages`, then translate:\n" + "\n".join(lacking)
    stale = [one.id for one in known if one.id and (one.id not in templates() or one.fuzzy)]
    assert not [*stale, *known.obsolete], "Said no more, or fuzzy: `make messages`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_placeholders_of_their_templates(language: str) -> None:
    wrong = [one.id for one in catalogue(language) if one.id and placeholders(one.string) != placeholders(one.id)]
    assert not wrong


def test_chinese_is_set_with_chinese_punctuation() -> None:
    wrong = [
        one.string
        for one in catalogue("zh")
        if one.id and re.search(r"[\u4e00-\u9fff][,;:?!](?![A-Za-z])", one.string)
    ]
    assert not wrong


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_catalogues_are_those_of_their_source(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))
    kept = LOCALE / language / "LC_MESSAGES" / "kb_assistant.mo"
    assert kept.read_bytes() == compiled.getvalue(), "`make messages`"


TELLING = {one.__name__ for one in (KBError, *KBError.__subclasses__())} | {"Finding", "hidden_note", "FileResult"}
"""What takes texts for people."""


def plain_texts() -> Iterator[str]:
    """Places where what takes messages is given another text."""
    for file in [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TELLING:
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                yield from (f"{file}:{text.lineno}" for text in given if _is_text(text))


def _is_text(node: ast.expr) -> bool:
    """Whether it is words that no template stands behind: an f-string, or a text with a space in it."""
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    )


def test_errors_and_findings_are_made_of_messages() -> None:
    assert not list(plain_texts())


def test_a_message_is_its_english_text() -> None:
    message = _("{path} is damaged: {reason}.", path=Path("/kb/x"), reason=_("the {key} was altered", key="meta"))
    assert message == "/kb/x is damaged: the meta was altered."
    assert message.template == "{path} is damaged: {reason}."
    assert message.values == {"path": "/kb/x", "reason": "the meta was altered"}
    assert translate(message, "en") == message
    assert translate(message, "zh") == "/kb/x 已损坏：meta 被改动。"


def test_numbers_keep_their_form() -> None:
    message = _("There are more than {count:,} files in it.", count=10_000)
    assert message == "There are more than 10,000 files in it."
    assert translate(message, "zh") == "其中的文件超过 10,000 个。"


def test_joined_messages_are_translated_one_by_one() -> None:
    error = KBError(_("The file is empty."), _("Save or download it anew."))
    assert error.full_message == "The file is empty. Save or download it anew."
    assert translate(error.full_message, "zh") == "文件是空的。请重新保存或下载。"
    kept = join((error.full_message, _("its last version stays in the index")), "; ")
    assert kept == "The file is empty. Save or download it anew; its last version stays in the index"
    assert translate(kept, "zh") == "文件是空的。请重新保存或下载；索引中保留其上一个版本"
    assert translate(join(("Ask Jane.", _("Check the path."))), "zh") == "Ask Jane. 请检查路径。"
    assert join(("", "")) == ""
    assert join(("", "one")) == "one"


def test_what_has_no_translation_stays() -> None:
    for text in ("plain", Message("A text of {x}", "No such {template}", {"x": "1"}), _("{name}", name="a")):
        assert translate(text, "zh") == text
        assert translate(text, "xx") == text
    older = Message("The PDF is damaged: it is.", "{path} is damaged.", {"other": "a"})
    assert translate(older, "zh") == older


def test_errors_of_the_system_are_translated_inside_ours() -> None:
    error = PermissionError(13, "Permission denied", "/kb/x")
    message = _("{path} can't be written: {reason}.", path="/kb", reason=error)
    assert message == "/kb can't be written: Permission denied."
    assert translate(message, "zh") == "无法写入 /kb：权限不足。"
    assert translate(reason_of(sqlite3.OperationalError("database is locked")), "zh") == "数据库已锁定"
    assert reason_of(ValueError("odd {braces}")) == "odd {braces}"
    assert translate(reason_of(KBError(_("Check the path."))), "zh") == "请检查路径。"


NESTED = join((_("{path} can't be read: {reason}", path="/a", reason=_("The PDF is damaged.")), "plain"), "; ")


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda message: pickle.loads(pickle.dumps(message)),  # noqa: S301 - our own
        lambda message: json.loads(json.dumps(to_json(message)), object_hook=from_json),
        lambda message: read_reason(written_reason(message)),
    ],
)
def test_copies_are_messages_still(again: object) -> None:
    assert callable(again)
    for message in (NESTED, _("There are more than {count:,} files in it.", count=7)):
        other = again(message)
        assert isinstance(other, Message)
        assert (other, other.template, other.values) == (message, message.template, message.values)
        assert translate(other, "zh") == translate(message, "zh") != message


def test_a_message_in_json_is_its_text_for_who_asks_no_more() -> None:
    assert json.dumps({"reason": _("no text in it")}) == '{"reason": "no text in it"}'


@pytest.mark.parametrize(
    "value",
    [
        {"text": "a", "id": "b"},
        {"text": "a", "id": "", "values": {}},
        {"text": 1, "id": "b", "values": {}},
        {"text": "a", "id": "b", "values": {"x": [1]}},
        {"text": "a", "id": "b", "values": [1]},
        {"text": "a", "id": " ", "values": []},
        {"text": "a", "id": "b", "values": 3},
        {"text": "a", "id": "b", "values": {}, "more": 1},
    ],
)
def test_what_is_no_message_in_json_stays_as_it_is(value: dict[str, object]) -> None:
    assert from_json(value) == value
    assert not isinstance(from_json(value), Message)


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers()))
def test_nothing_that_a_store_may_hold_breaks_the_page(template: str, values: dict[str, str | int]) -> None:
    assert isinstance(translate(Message("text", template or "x", values), "zh"), str)
    for known in ("{path} is damaged: {reason}.", "There are more than {count:,} files in it."):
        assert isinstance(translate(Message("text", known, values), "zh"), str)


@given(st.text())
def test_older_stores_hold_plain_reasons(reason: str) -> None:
    assert read_reason(reason) == reason
    assert written_reason(reason) == reason
    assert type(read_reason('{"text": ' + reason)) is str


def test_hundreds_of_notes_are_told() -> None:
    note = _(
        "Hidden text ({where}) may be an order to a language model: “{text}”.", where=_("a comment"), text="Go"
    )
    assert translate(join([note] * 300), "zh").count("隐藏文字（批注或注释）") == 300


def hidden_functions(table: symtable.SymbolTable) -> Iterator[str]:
    """Functions in which `_` is called but is a variable of their own."""
    if table.get_type() == "function" and "_" in table.get_identifiers() and table.get_name() != "_":
        symbol = table.lookup("_")
        if symbol.is_local() and symbol.is_referenced():
            yield f"{table.get_name()}, line {table.get_lineno()}"
    for inner in table.get_children():
        yield from hidden_functions(inner)


def test_no_variable_hides_the_function_that_makes_messages() -> None:
    found = [
        f"{file}: {name}"
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        for name in hidden_functions(symtable.symtable(file.read_text(encoding="utf-8"), str(file), "exec"))
    ]
    assert not found
