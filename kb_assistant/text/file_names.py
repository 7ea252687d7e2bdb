"""What the names of a file and its folder say about a text: `Yard.md`, `张伟/合同.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePath

from kb_assistant.text.analyzer import analyze, analyze_query, fold

_GIVEN = "document:"
"""Prefix of what isn't a file; its name says something only with a file's suffix."""

_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}")
_JOINTS = re.compile(r"(?<!\d)[-_\s]+|[-_\s]+(?!\d)|_+")
_SAYS_NOTHING = re.compile(
    r"(?:index|readme|untitled|document|documents|docs?|files?|pages?|scans?|images?|img|pictures?|photos?|data"
    r"|notes?|screenshots?|dsc|copy|new|main|default|text|txt|tmp|temp|src|downloads?|desktop|my documents|home"
    r"|新建|文档|文件|文件夹|未命名|无标题|新建文档|新建文本文档|图片|照片|截图|扫描|扫描件|资料|数据|下载|桌面)?"
    r"[\s\d().]*(?:copy|副本)?|[0-9a-f]{12,}|[0-9a-f]{8}(?:[- ][0-9a-f]{4}){3}[- ][0-9a-f]{12}",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d\D?[01]\d")
_WORD = re.compile(r"[^\W\d_]{2}|[\u3400-\u9fff]")
_LONGEST = 100  # characters
_SHARE = 0.5  # of a name's words: a heading that says so many makes the name needless


@lru_cache(maxsize=1000)
def said_by_path(path: str) -> str:
    """The names of a source's folder and file as words, joined by " > "; without those that say nothing, such as
    `index` or `IMG_2041`.

    >>> said_by_path("/work/Garden/Yard_work.md"), said_by_path("/docs/index.html"), said_by_path("document:42")
    ('Garden > Yard work', '', '')
    """
    parts = PurePath(path.removeprefix(_GIVEN))
    if path.startswith(_GIVEN) and not _SUFFIX.fullmatch(parts.suffix):
        return ""
    return " > ".join(filter(None, map(_words, (parts.parent.name, parts.stem))))


def with_file_name(path: str, heading: str) -> str:
    """A heading below the name of its file, where it doesn't say it.

    >>> with_file_name("/docs/Meyer.docx", "Contract"), with_file_name("/docs/yard.md", "The yard")
    ('Meyer > Contract', 'The yard')
    """
    above = said_by_path(path)
    name = above if not heading else above.split(" > ")[-1]
    return " > ".join(filter(None, ["" if _says(heading, name) else name, heading]))


def file_names(path: str) -> tuple[str, str]:
    """The names of a source's folder and file as words, whatever they say."""
    parts = PurePath(path.removeprefix(_GIVEN))
    return _parted(parts.parent.name), _parted(parts.stem)


def on_another(
    question: str, names: Sequence[tuple[str, str]], texts: Sequence[str], answered: Sequence[bool] = ()
) -> list[bool]:
    """Of each passage, whether it is on another than the question is: another passage's file is named alike but
    for words of the question, which this one has nowhere; or, where both hold an answer, its name has two words of
    the question at least.

    >>> on_another("张伟的月薪", [("", "张伟合同"), ("", "李娜合同")], ["月薪一万元", "月薪九千元"])
    [False, True]

    Args:
        names: Of folder and file.
        texts: The passages with their headings.
        answered: Whether each holds an answer, if known.
    """
    holds = answered or [False] * len(texts)
    asked = set(analyze_query(question))
    named = [tuple(frozenset(analyze_query(part)) for part in pair) for pair in names]
    own = [asked & (folder | file) for folder, file in named]
    held = [asked & {*analyze(text), *one} for text, one in zip(texts, own, strict=True)]

    def is_other(this: int, that: int) -> bool:
        (folder, file), (other_folder, other_file) = named[this], named[that]
        alike = file & other_file or (file == other_file and folder != other_folder)
        named_more = holds[this] and holds[that] and len(asked & other_file) > 1
        return bool((alike or named_more) and own[that] - held[this]) and not own[this] - held[that]

    places = range(len(texts))
    return [any(is_other(this, that) for that in places if that != this) for this in places]


def _words(name: str) -> str:
    words = _parted(name)
    says_nothing = _SAYS_NOTHING.fullmatch(fold(words)) or not _WORD.search(words)
    return "" if says_nothing and not _DATE.search(words) else words


def _parted(name: str) -> str:
    return " ".join(_JOINTS.sub(" ", name).split())[:_LONGEST].rstrip()


def _says(heading: str, name: str) -> bool:
    words, said = analyze_query(name), set(analyze_query(heading))
    return sum(word in said for word in words) >= max(1, _SHARE * len(words))
