"""Lines of code among the quotes: they are told as the code that they are part of, not as sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import dedent

from kb_assistant.llm.extract.sentence import Sentence
from kb_assistant.text.code_mask import CodeBlock, code_blocks


def block_of(sentence: Sentence, passage: str) -> CodeBlock | None:
    """The code between fences that a quote is a line of; None for prose."""
    for block in code_blocks(passage):
        if sentence.text in map(str.strip, _inside(block, passage).splitlines()):
            return block
    return None


def prose_of(passage: str) -> str:
    """A passage without the code between its fences."""
    kept, last = "", 0
    for block in code_blocks(passage):
        kept, last = kept + passage[last : block.start], block.end
    return kept + passage[last:]


def told(sentence: Sentence, block: CodeBlock, passage: str, before: Sequence[str], characters: int) -> list[str]:
    """What is said for a line of code, given what was said before: all of a block that isn't too long, without a
    mark of its own below a line with the same one; else the line, as code, with its mark."""
    mark, code = f"[{sentence.passage}]", _whole(block, passage)
    if code in before:
        return []
    above = before[-1] if before else ""
    if above.endswith(mark) and not above.startswith("`") and len(code) <= characters:
        return [code]
    ticks = "``" if "`" in sentence.text else "`"
    return [f"{ticks}{sentence.text}{ticks} {mark}"]


def _whole(block: CodeBlock, passage: str) -> str:
    """It with its fences, the second one also where the passage ends before it."""
    opening = passage[block.start : block.inside[0]].strip()
    fence = re.match("`+|~+", opening)
    assert fence
    return f"{opening}\n{dedent(_inside(block, passage)).strip(chr(10))}\n{fence[0]}"


def _inside(block: CodeBlock, passage: str) -> str:
    return passage[slice(*block.inside)]
