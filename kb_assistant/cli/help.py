"""The help of the commands in another language: what `--help` prints, taken from the catalogue of messages.

The English texts stand where the commands are written, in docstrings and options, so `help_texts` names them to
the catalogue (`make messages`).
"""

from __future__ import annotations

import gettext
import shutil
from collections.abc import Iterator
from typing import Any

from kb_assistant.cli.show import columns
from kb_assistant.messages import DOMAIN, LOCALE, translate_words

Command = Any
"""A command of Typer's, or a group of them: their class has no public name."""

_WORDS = (
    "Arguments",
    "Options",
    "Commands",
    "required",
    "default: {default}",
    "Missing command.",
    "No such command {name!r}.",
    "Aborted!",
)
"""Words of Typer's own that it looks up by gettext, or that stand in its options."""

_WIDEST = 78
_BESIDE = 34
"""Columns that the names of options take at most, with what stands around them."""
_CLOSING = "，。、；：！？）”》"
"""What doesn't begin a line."""


def help_texts(command: Command) -> Iterator[str]:
    """All texts of the help of a command and of those below it, some of them twice; then Typer's own words."""
    for one in _with_those_below(command):
        yield from filter(None, (one.help, one.short_help))
        yield from filter(None, (getattr(param, "help", None) for param in one.params))
    yield from _WORDS


def translate_help(command: Command, language: str) -> None:
    """Put the help of a command and of those below it into another language, as far as the catalogue has it."""
    gettext.bindtextdomain(DOMAIN, str(LOCALE))
    gettext.textdomain(DOMAIN)
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    for one in _with_those_below(command):
        if one.help:
            said = translate_words(one.help, language)
            if said != one.help:
                one.short_help = _set(said.partition("。")[0], width - _BESIDE)
                one.help = _set(said, width - 4)
        for param in one.params:
            if text := getattr(param, "help", None):
                said = translate_words(text, language)
                param.help = text if said == text else _set(said, width - _BESIDE)


def _with_those_below(command: Command) -> Iterator[Command]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _with_those_below(below)


def _set(text: str, width: int) -> str:
    """A text in lines of so many columns, which Typer leaves as they are: it breaks lines at spaces alone, and
    takes each letter for one column."""
    return "\n\n".join("\b\n" + "\n".join(_lines(paragraph, width)) for paragraph in text.split("\n\n"))


def _lines(paragraph: str, width: int) -> Iterator[str]:
    line, used = "", 0
    for piece in _pieces(" ".join(paragraph.split("\n"))):
        wide = columns(piece)
        if used + wide > width and line.strip():
            yield line.rstrip()
            line, used = "", 0
            if piece == " ":
                continue
        line, used = line + piece, used + wide
    yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """What no line is broken within: a wide letter with the stops behind it, a space, a word of others."""
    piece = ""
    for letter in text:
        wide = columns(letter) > 1
        if piece and not (letter in _CLOSING or (not wide and _goes_on(piece, letter))):
            yield piece
            piece = ""
        piece += letter
    if piece:
        yield piece


def _goes_on(piece: str, letter: str) -> bool:
    """Whether a narrow letter belongs to the word before it."""
    return letter != " " and piece[-1] != " " and columns(piece[-1]) == 1
