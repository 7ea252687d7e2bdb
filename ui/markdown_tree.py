"""An answer's Markdown as a tree of the page's few elements, with citations as separate elements.

The browser builds it only with textContent. HTML in an answer is text; links and images show only their words, and
nothing they point to is ever loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from kb_assistant.workspace.tables import with_tables
from ui.sanitize import strip_invisible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    from kb_assistant import Mark

# Placeholders of citations during Markdown parsing: private characters, which are removed from answers.
_OPEN, _CLOSE = "\ue000", "\ue001"
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_CITED = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_BEHIND_ROW = re.compile(rf"^([ ]{{0,3}}\|.*)(\|)[ ]*((?:{_OPEN}\d+{_CLOSE}[ ]*)+)$", re.MULTILINE)
"""Marks behind a row of a table, where Markdown would drop them."""

_ELEMENTS = frozenset(
    "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s br hr table thead tbody tr th td".split()
)

Node = Any
"""A text, or [element, child, …], or ["cite", number of the mark from 0]."""


def tree(answer: str, marks: Sequence[Mark] = ()) -> list[Node]:
    """The nodes of an answer."""
    text = _PRIVATE.sub("?", answer)
    for number, mark in reversed(list(enumerate(marks))):
        text = f"{text[: mark.start].rstrip(' ')}{_OPEN}{number}{_CLOSE}{text[mark.end :]}"
    text = with_tables(_BEHIND_ROW.sub(r"\1\3\2", text))
    root: list[Node] = ["root"]
    _fill(_parser().parse(text), [root])
    return root[1:]


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])


def _fill(tokens: Sequence[Token], stack: list[list[Node]]) -> None:
    """Append the tokens' nodes to the last list of the stack."""
    for token in tokens:
        if token.type == "inline":
            _fill(token.children or (), stack)
        elif token.type == "text":
            stack[-1] += _texts(token.content)
        elif token.type in ("fence", "code_block"):
            stack[-1].append(["pre", ["code", *_texts(token.content)]])
        elif token.type == "code_inline":
            stack[-1].append(["code", *_texts(token.content)])
        elif token.type in ("softbreak", "hardbreak"):
            stack[-1].append(["br"])
        elif token.type == "image":
            stack[-1] += _texts(token.content or str(token.attrs.get("src", "")))
        elif token.tag in _ELEMENTS:
            _nest(token, stack)
        elif token.content:
            stack[-1] += _texts(token.content)


def _nest(token: Token, stack: list[list[Node]]) -> None:
    if token.nesting < 0:
        stack.pop()
        return
    if token.hidden:  # paragraphs of a tight list
        if token.nesting > 0:
            stack.append(stack[-1])
        return
    element: list[Node] = [token.tag]
    stack[-1].append(element)
    if token.nesting > 0:
        stack.append(element)


def _texts(text: str) -> list[Node]:
    """Text split at its citations."""
    nodes: list[Node] = []
    for place, piece in enumerate(_CITED.split(text)):
        if place % 2:
            nodes.append(["cite", int(piece)])
        elif piece:
            nodes.append(strip_invisible(piece))
    return nodes
