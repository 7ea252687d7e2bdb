"""Reads questions and answers in the forms in which people have them, and says line by line what can't be used.

Rows of content/summary (with history), of instruction/input/output, of prompt/response, of messages or
conversations, and rows in our own form; a file may mix them. A row that can't be used is a fault of the report.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from kb_assistant.messages import Message, _
from kb_assistant.training.data import Conversation, Role, Style, checked
from kb_assistant.training.rows import Fault, Unusable, file_rows

QUESTIONS = ("content", "prompt", "question", "query", "instruction", "ask", "问题", "问", "提问", "指令")
ANSWERS = ("summary", "response", "answer", "output", "completion", "reply", "回答", "答案", "答", "回复")
_INPUTS = ("input", "context", "输入")
_HISTORIES = ("history", "历史")
_SYSTEMS = ("system", "system_prompt")
_MESSAGES = ("messages", "conversations", "conversation", "dialog", "dialogue")
_ROLES: Mapping[str, Role] = {
    "system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "model": "assistant", "用户": "user", "助手": "assistant",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of one's own, where a file has others than those known; "" for those known."""

    question: str = ""
    answer: str = ""
    history: str = ""
    system: str = ""
    messages: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds.

    Attributes:
        conversations: Those that can be used, with `file:line` as their source.
        faults: The rows that can't.
        forms: Number of usable rows by form, such as "content/summary".
    """

    conversations: list[Conversation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    forms: dict[str, int] = field(default_factory=dict)


def read_file(file: Path, fields: Fields | None = None, style: Style = "chat", encoding: str = "") -> Read:
    """The conversations of a file in any known form.

    Args:
        fields: The file's own names.
        style: How their questions are asked, where a row doesn't say.
        encoding: Of the file, if it isn't Unicode: "gb18030".

    Raises:
        DatasetError: it can't be read, is empty, or no form is recognised.
    """
    read, names = Read(), fields or Fields()
    for line, row in file_rows(file, lambda columns: _knows(columns, names), encoding):
        if isinstance(row, Fault):
            read.faults.append(replace(row, file=file.name))
            continue
        try:
            form, made = _conversation(row, names, style, f"{file.name}:{line}")
        except ValueError as error:
            reason = error.args[0] if isinstance(error.args[0], Message) else str(error)
            read.faults.append(Fault(line, reason, _beginning(row), file.name))
            continue
        read.forms[form] = read.forms.get(form, 0) + 1
        read.conversations.append(made)
    return read


def _knows(columns: Sequence[str], names: Fields) -> bool:
    """Whether a table with these columns holds questions and answers, or conversations."""
    row = dict.fromkeys(columns, "")
    pair = _name(row, names.question, QUESTIONS) and _name(row, names.answer, ANSWERS)
    return bool(pair or _name(row, names.messages, _MESSAGES))


def _conversation(row: Any, names: Fields, style: Style, source: str) -> tuple[str, Conversation]:
    """The form of a row, and its conversation."""
    if not isinstance(row, dict):
        raise Unusable(_("it isn't an object."))
    lowered = {name.strip().casefold() if isinstance(name, str) else name: value for name, value in row.items()}
    if "style" in row and "messages" in row and not any(row.get(name) for name in _SYSTEMS):
        return "kb train", Conversation.from_json({"source": source, **row})
    given = lowered if not any((names.question, names.answer, names.messages)) else {**lowered, **row}
    if listed := _name(given, names.messages, _MESSAGES):
        messages = _messages(given[listed])
        form = listed
        system = _optional(given, names.system, _SYSTEMS)
        if system and messages[0][0] != "system":
            messages = [("system", system), *messages]
        return form, Conversation(checked(messages), style, source)
    return _pair(given, names, style, source)


def _pair(row: Mapping[str, Any], names: Fields, style: Style, source: str) -> tuple[str, Conversation]:
    """A row with one question and its answer, perhaps after a history."""
    asked, said = _name(row, names.question, QUESTIONS), _name(row, names.answer, ANSWERS)
    if not asked or not said:
        missing = _("question") if not asked else _("answer")
        found = ", ".join(map(str, row))[:200] or "-"
        raise Unusable(_("it has no {what}, but: {names}", what=missing, names=found))
    question, answer = _said(row[asked], asked), _said(row[said], said)
    more = _optional(row, "", _INPUTS)
    messages: list[tuple[Role, str]] = []
    if system := _optional(row, names.system, _SYSTEMS):
        messages.append(("system", system))
    earlier_name = _name(row, names.history, _HISTORIES)
    before = _history(row[earlier_name]) if earlier_name else []
    for earlier, told in before:
        messages += [("user", earlier), ("assistant", told)]
    messages += [("user", f"{question}\n{more}" if more else question), ("assistant", answer)]
    return f"{asked}/{said}", Conversation(checked(messages), style, source, learned="last" if before else "all")


def _name(row: Mapping[str, Any], own: str, known: Sequence[str]) -> str:
    """The row's name for a field, "" if it has none; one's own, if given, must be it."""
    if own:
        return own if own in row else ""
    return next((name for name in (*row,) if str(name).strip().casefold() in known), "")


def _said(value: Any, name: str) -> str:
    """A text that isn't empty; a number is one, too."""
    if isinstance(value, float) and not math.isfinite(value):  # what pandas writes for an empty cell
        value = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) and value is not None:
        raise Unusable(_("{name} isn't a text.", name=name))
    if not value or not value.strip():
        raise Unusable(_("{name} is empty.", name=name))
    return value.strip()


def _optional(row: Mapping[str, Any], own: str, known: Sequence[str]) -> str:
    name = _name(row, own, known)
    value: Any = row.get(name) if name else None
    return _said(value, name) if value and str(value).strip() else ""


def _history(value: Any) -> list[tuple[str, str]]:
    """Turns before, as [[question, answer], …] or as JSON of it."""
    if not value:
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise Unusable(_("history isn't a list of [question, answer].")) from error
    turns: list[Any] = value if isinstance(value, list) else [None]
    if not all(isinstance(turn, list) and len(turn) == 2 for turn in turns):
        raise Unusable(_("history isn't a list of [question, answer]."))
    return [(_said(turn[0], "history"), _said(turn[1], "history")) for turn in turns]


def _messages(value: Any) -> list[tuple[Role, str]]:
    """Messages with role and content, or from and value."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise Unusable(_("it has no list of messages.")) from error
    if not isinstance(value, list) or not value:
        raise Unusable(_("it has no list of messages."))
    made: list[tuple[Role, str]] = []
    for number, one in enumerate(value, start=1):
        if not isinstance(one, dict):
            raise Unusable(_("message {number} has no role and content.", number=number))
        role = one.get("role", one.get("from"))
        content = _content(one.get("content", one.get("value")))
        if not isinstance(role, str) or content is None:
            raise Unusable(_("message {number} has no role and content.", number=number))
        if role.casefold() not in _ROLES:
            raise Unusable(
                _("message {number} is of {role!r}, which isn't learned.", number=number, role=role[:40])
            )
        made.append((_ROLES[role.casefold()], content.strip()))
    return made


def _content(value: Any) -> str | None:
    """A text, or the parts of one as the OpenAI API has them."""
    if isinstance(value, list) and all(isinstance(one, dict) and one.get("type") == "text" for one in value):
        value = "\n".join(str(one.get("text", "")) for one in value)
    return cast("str | None", value) if isinstance(value, str) else None


def _beginning(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False)[:200]
