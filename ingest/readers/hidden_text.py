"""Detects content that a document's readers don't see: invisible characters, white on white, comments that give
orders.

Models see all of it, so the report mentions it. The report only warns; the prompt tells the model that a passage
is data, not an instruction.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ingest.readers.blocks import Content, one_line
from kb_assistant.messages import _

# Invisible characters: tags, which can spell whole sentences; overrides of the writing direction; runs of
# zero-width characters; soft hyphens, which split words. Single joiners are part of some scripts and of emoji.
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_INVISIBLE = re.compile(
    "[\U000e0000-\U000e007f\u00ad\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069]|[\u200c\u200d]{2,}"
)
_SPELLED = 8
_SMUGGLED = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff]{8,}")


def without_invisible(content: Content) -> Content:
    """The content without invisible characters, and a note if there were so many that they may be a message."""
    notes = list(content.notes)
    blocks = []
    for block in content.blocks:
        if not _INVISIBLE.search(block.text) and not _INVISIBLE.search(block.heading):
            blocks.append(block)
            continue
        spelled = "".join(chr(ord(mark) - 0xE0000) for run in _TAGS.findall(block.text) for mark in run)
        if len(spelled) >= _SPELLED:
            notes.append(_("Invisible characters spell “{text}”; they were left out.", text=_shown(spelled)))
        elif _SMUGGLED.search(block.text):
            notes.append(_("There are long runs of zero-width characters in it; they were left out."))
        text = _INVISIBLE.sub("", block.text)
        if text.strip():
            blocks.append(replace(block, text=text, heading=_INVISIBLE.sub("", block.heading)))
    return replace(content, blocks=tuple(blocks), notes=tuple(dict.fromkeys(notes)))


_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instruction|prompt|rule|above|previous|prior|context)|"
    r"\b(?:system prompt|you are now|you must (?:now )?(?:answer|say|reply|respond|tell)|as an ai|"
    r"do not (?:tell|mention|reveal|answer)|(?:respond|reply|answer) (?:only )?with|reveal (?:the|your))\b|"
    r"(?:忽略|无视|無視|忘记|忘記).{0,20}(?:指令|提示|规则|規則|以上|之前|前面|上述|内容)|"
    r"系统提示词?|你现在是|你現在是|(?:只|必须|必須)(?:回答|回复|回覆|输出)|不要(?:告诉|透露|提及|回答)",
    re.IGNORECASE | re.DOTALL,
)


def hidden_note(where: str, text: str, always: bool = False) -> tuple[str, ...]:
    """A note on text that a reader of the document doesn't see: if it may be an order to a model, or `always`."""
    text = one_line(text)
    if not text or not (always or _ORDERS.search(text)):
        return ()
    if _ORDERS.search(text):
        return (
            _(
                "Hidden text ({where}) may be an order to a language model: “{text}”.",
                where=where,
                text=_shown(text),
            ),
        )
    return (
        _(
            "Hidden text ({where}) isn't seen by who reads the document: “{text}”.",
            where=where,
            text=_shown(text),
        ),
    )


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
