"""The text of paragraphs in Word documents, as it is now: without deletions, with ticked boxes and what is struck
through; and what of it isn't seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ingest.readers.blocks import STRUCK, join_struck, one_line
from ingest.readers.hidden_text import hidden_note
from ingest.readers.office.docx_styles import value
from ingest.readers.office.drawingml import FALLBACK
from ingest.readers.office.ooxml import number
from kb_assistant.messages import _

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# Properties that fill the background of a paragraph, cell or table; table styles fill the header.
_GROUNDS = tuple(f"{W}{where}/{W}{what}" for where, what in (
    ("pPr", "shd"), ("tcPr", "shd"), ("tblPr", "shd"), ("tblPr", "tblStyle")))  # fmt: skip
P, TBL, TR, TC = f"{W}p", f"{W}tbl", f"{W}tr", f"{W}tc"
_LEFT_OUT = frozenset(f"{W}{tag}" for tag in ("del", "moveFrom", "pPr", "rPr", "rt", "tbl", "txbxContent"))
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_EMOJI = "{http://schemas.microsoft.com/office/word/2015/wordml/symex}symEx"
_WORDS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}


def text_of(paragraph: Any) -> str:
    """The current text of a paragraph, without its text boxes."""
    words, struck = [], False
    waiting = list(reversed(paragraph))
    while waiting:
        element = waiting.pop()
        if element is None:  # the outermost run that is struck through ends
            words.append(STRUCK)
            struck = False
        elif element.tag in (f"{W}t", _MATH_TEXT):
            words.append(element.text or "")
        elif element.tag in _WORDS:
            words.append(_WORDS[element.tag])
        elif element.tag == _EMOJI:
            words.append(_character(element.get(f"{_EMOJI.removesuffix('symEx')}char", "")))
        elif element.tag == f"{W}ffData":
            words.append(_form_field(element))
        elif element.tag not in _LEFT_OUT and element.tag != FALLBACK:
            if not struck and element.tag == f"{W}r" and _is_struck(element):
                struck = True
                words.append(STRUCK)
                waiting.append(None)
            waiting.extend(reversed(element))
    return join_struck(words)


def comment_of(element: Any) -> str:
    words = one_line(" ".join(map(text_of, element.iter(P))))
    author = one_line(element.get(f"{W}author", ""))
    return words and (f"Comment ({author}): {words}" if author else f"Comment: {words}")


def _is_struck(run: Any) -> bool:
    properties = run.find(f"{W}rPr")
    marks = [] if properties is None else [properties.find(f"{W}{name}") for name in ("strike", "dstrike")]
    return any(mark is not None and mark.get(f"{W}val") not in ("0", "false") for mark in marks)


def _form_field(data: Any) -> str:
    """What a field of a form shows that isn't text: a ticked box, the entry of a list."""
    box, choices = data.find(f"{W}checkBox"), data.find(f"{W}ddList")
    if box is not None:
        mark = next((one for tag in ("checked", "default") if (one := box.find(f"{W}{tag}")) is not None), None)
        return "[x]" if mark is not None and mark.get(f"{W}val") not in ("0", "false") else "[ ]"
    entries = [] if choices is None else [entry.get(f"{W}val", "") for entry in choices.iter(f"{W}listEntry")]
    chosen = number(value(choices, "result") or value(choices, "default")) if entries else 0
    return entries[chosen] if chosen < len(entries) else ""


def _character(code: str) -> str:
    character = chr(int(code, 16)) if re.fullmatch("[0-9A-Fa-f]{2,5}", code) else ""
    return "" if "\ud800" <= character <= "\udfff" else character  # half a surrogate pair is no character


def white_text(body: Any) -> Iterator[str]:
    """Notes on invisible text: white without a dark background, or marked as hidden."""
    hidden: dict[str, list[str]] = {}
    grounds: dict[Any, bool] = {}
    for run in body.iter(f"{W}r"):
        properties = run.find(f"{W}rPr")
        if properties is None:
            continue
        vanish = properties.find(f"{W}vanish")
        if vanish is not None and vanish.get(f"{W}val") not in ("0", "false"):
            hidden.setdefault(_("marked as hidden"), []).append(text_of(run))
        elif (value(properties, "color") or "").lower() == "ffffff" and not _is_shaded(run, properties, grounds):
            hidden.setdefault(_("white on white"), []).append(text_of(run))
    for where, words in hidden.items():
        yield from hidden_note(where, " ".join(words), always=True)


def _is_shaded(run: Any, properties: Any, grounds: dict[Any, bool]) -> bool:
    """Whether a text has a background: its own highlight, or the fill of its paragraph, cell or shape.

    Args:
        grounds: Cache of the enclosing elements with a background, because one table contains many runs.
    """
    if properties.find(f"{W}shd") is not None or properties.find(f"{W}highlight") is not None:
        return True
    for above in run.iterancestors(P, TC, f"{W}txbxContent", TBL):
        if above not in grounds:
            grounds[above] = above.tag == f"{W}txbxContent" or any(
                above.find(ground) is not None for ground in _GROUNDS
            )
        if grounds[above]:
            return True
    return False
