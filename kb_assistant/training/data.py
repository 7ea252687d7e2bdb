"""The one form of training data on disk: lines of JSON, each a conversation whose answers are learned.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}],
     "style": "chat", "source": "faq.csv:12"}

Whatever form data comes in (formats.py), or is made from (mine.py), it is written like this before anything is
trained; encode.py makes token ids of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from kb_assistant.errors import DatasetError
from kb_assistant.messages import Message, _
from kb_assistant.small_file import write_whole

Role = Literal["system", "user", "assistant"]
Style = Literal["chat", "grounded", "plain"]
Learned = Literal["all", "last"]

STYLES = get_args(Style)
"""How a question becomes a prompt. `chat`: as `kb chat` asks without passages. `grounded`: as it asks with them.
`plain`: the model's own form of a conversation and nothing else, as for text that isn't about documents."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that the question is asked on.

    Attributes:
        source: Path or name of its file; the prompt shows the name.
        heading: Headings above it, joined by " > "; "" for none.
    """

    text: str
    source: str = ""
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation: perhaps a system message, then questions and answers in turn, an answer last.

    Attributes:
        messages: (role, content) of each message.
        style: See STYLES.
        source: Where it is from, such as `faq.csv:12`: file and line.
        passages: Those of the last question, best first; for the style `grounded`, the others have none.
        learned: Whether all answers are learned, or the last alone.
        group: Conversations of one group are never parted into training and test: one document, one chat.
        prompt: What a model was given for the last question; () where that isn't known.
    """

    messages: tuple[tuple[Role, str], ...]
    style: Style = "chat"
    source: str = ""
    passages: tuple[Passage, ...] = ()
    learned: Learned = "all"
    group: str = ""
    prompt: tuple[tuple[Role, str], ...] = ()

    @property
    def system(self) -> str:
        """The system message; "" for none."""
        return self.messages[0][1] if self.messages[0][0] == "system" else ""

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """Questions with their answers."""
        spoken = self.messages[1:] if self.system else self.messages
        return tuple((spoken[i][1], spoken[i + 1][1]) for i in range(0, len(spoken) - 1, 2))

    @property
    def question(self) -> str:
        """The last question."""
        return self.messages[-2][1]

    @property
    def answer(self) -> str:
        """The last answer."""
        return self.messages[-1][1]

    def to_json(self) -> dict[str, Any]:
        """The object of one line; what has its usual value is left out."""
        row: dict[str, Any] = {
            "messages": _written(self.messages),
            "style": self.style,
            "source": self.source,
        }
        if self.passages:
            row["passages"] = [
                {"text": one.text, "source": one.source, "heading": one.heading} for one in self.passages
            ]
        if self.learned != "all":
            row["learned"] = self.learned
        if self.group:
            row["group"] = self.group
        if self.prompt:
            row["prompt"] = _written(self.prompt)
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Conversation:
        """The conversation that `to_json` wrote.

        Raises:
            ValueError: it has another form; its text is a message that says which.
        """
        style, learned = row.get("style", "chat"), row.get("learned", "all")
        if style not in STYLES:
            raise ValueError(_("style is {value}: it must be chat, grounded or plain.", value=_shown(style)))
        if learned not in get_args(Learned):
            raise ValueError(_("learned is {value}: it must be all or last.", value=_shown(learned)))
        source, group = row.get("source", ""), row.get("group", "")
        if not isinstance(source, str) or not isinstance(group, str):
            raise ValueError(_("source and group must be texts."))
        passages = _passages(row.get("passages", ()))
        if bool(passages) != (style == "grounded"):
            raise ValueError(_("passages go with the style grounded, and only with it."))
        prompt = tuple(_messages(row["prompt"])) if "prompt" in row else ()
        if prompt and prompt[-1][0] != "user":
            raise ValueError(_("the prompt must end with the user's message."))
        return cls(checked(_messages(row.get("messages"))), style, source, passages, learned, group, prompt)


def checked(messages: Sequence[tuple[Role, str]]) -> tuple[tuple[Role, str], ...]:
    """The messages, if they are a conversation to learn from.

    Raises:
        ValueError: they aren't; its text is a message that says what is wrong.
    """
    spoken = messages[1:] if messages and messages[0][0] == "system" else messages
    for number, (role, content) in enumerate(spoken, start=len(messages) - len(spoken) + 1):
        wanted = "user" if (number - (len(messages) - len(spoken))) % 2 else "assistant"
        if role != wanted:
            raise ValueError(
                _(
                    "message {number} is of {role}, where one of {wanted} is due.",
                    number=number,
                    role=role,
                    wanted=wanted,
                )
            )
        if not content.strip():
            raise ValueError(_("message {number} is empty.", number=number))
    if not spoken or spoken[-1][0] != "assistant":
        raise ValueError(_("no answer comes last."))
    return tuple(messages)


def read_data(file: Path) -> list[Conversation]:
    """The conversations of a file in this form.

    Raises:
        DatasetError: it can't be read, holds none, or a line has another form; the message gives the line.
    """
    made: list[Conversation] = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    made.append(_read_line(file, number, line))
    except OSError as error:
        raise DatasetError(_("{path} can't be read: {reason}.", path=file, reason=error)) from error
    except UnicodeDecodeError as error:
        raise DatasetError(_("{path} isn't UTF-8 text.", path=file), _again(file)) from error
    if not made:
        raise DatasetError(_("{path} holds no conversation.", path=file), _again(file))
    return made


def write_data(file: Path, conversations: Iterable[Conversation]) -> None:
    """Write a file in this form, whole or not at all.

    Raises:
        StoreError: it can't be written.
    """
    lines = (json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in conversations)
    write_whole(file, "".join(lines).encode("utf-8", "replace").decode("utf-8"))


def _again(file: Path) -> Message:
    return _("Make it with: kb train data FILE --out {folder}", folder=file.parent)


def _read_line(file: Path, number: int, line: str) -> Conversation:
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(_("it isn't an object."))
        return Conversation.from_json(row)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            _("{path}, line {line}: {reason}", path=file, line=number, reason=error), _again(file)
        ) from error


def _written(messages: Sequence[tuple[Role, str]]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in messages]


def _messages(value: Any) -> list[tuple[Role, str]]:
    if not isinstance(value, list) or not value:
        raise ValueError(_("it has no list of messages."))
    made: list[tuple[Role, str]] = []
    for number, one in enumerate(value, start=1):
        role, content = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        if role not in get_args(Role) or not isinstance(content, str):
            raise ValueError(_("message {number} has no role and content.", number=number))
        made.append((cast(Role, role), content))
    return made


def _passages(value: Any) -> tuple[Passage, ...]:
    made = []
    for one in value if isinstance(value, list | tuple) else [value]:
        fields = one if isinstance(one, dict) else {}
        said = [fields.get(name, "") for name in ("text", "source", "heading")]
        kept = [field for field in said if isinstance(field, str)]
        if len(kept) < len(said) or not kept[0]:
            raise ValueError(_("a passage has no text."))
        made.append(Passage(*kept))
    return tuple(made)


def _shown(value: object) -> str:
    return repr(value)[:80]
