"""Words broken at line ends: whether the hyphen was put there by the break, or belongs to the word.

A break after one of a word's own hyphens keeps it: `state-of-the-` / `art`, `AB-12-` / `34`, `2019-` / `2021`.
The document's other words decide first, then a dictionary of its language, which is loaded only for what they
leave open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from spellchecker import SpellChecker

# pdfium marks a hyphen at the end of a line with U+FFFE, formerly U+0002, and drops the line break. It leaves
# hyphens behind digits, and en dashes, as they are.
_MARK = "[\ufffe\x02]"
_BREAK = re.compile(rf"(?<=[^\W_])(?:{_MARK}[ \t]*\n?|\xad[ \t]*\n|[-‐–][ \t]*\n)(?=[^\W_])")
_BEFORE = re.compile(r"(?:[^\W_]+[-‐–'’.:/])*[^\W_]+$")
_BEHIND = re.compile(r"[^\W_]+")
_LEFT_OVER = re.compile(rf"(?:{_MARK}|\xad)(?:[ \t]*\n)?")
_WORD = re.compile(r"(?<![\ufffe\x02\xad\w‐-])[^\W\d_]+(?:[-‐][^\W\d_]+)*(?![\ufffe\x02\xad\w])(?!-\n)")
_LONGEST = 60  # characters of a word
# "pre- and postwar", "Vor- und Nachteile": the hyphen stands for the rest of the word.
_CONJUNCTIONS = frozenset("and or to und oder bzw sowie bis et ou y o e en of".split())
# The most frequent words of the languages whose dictionaries are used.
_FREQUENT = {
    "en": frozenset("the of and to in is that for".split()),
    "de": frozenset("der die und das den ist nicht ein".split()),
    "fr": frozenset("le les des et est une dans du".split()),
    "es": frozenset("el los de las y que en una".split()),
    "it": frozenset("il di che della è per una gli".split()),
    "pt": frozenset("os do da que não uma em para".split()),
    "nl": frozenset("de het een van en dat niet zijn".split()),
}
# Parts that aren't words of a compound, although dictionaries have them.
_PREFIXES = frozenset(
    "un re de dis mis im in sub inter intra super hyper micro macro photo bio hydro thermo electro over under "
    "fore out con com pro per ex en em ver be ge ent zer er".split()
)
# Words in the middle of compounds, also where they could be prefixes: `mother-in-law`.
_MIDDLES = frozenset("in out over under on up to of the by at and or for off down as".split())
_SUFFIXES = frozenset(
    "ing ings tion tions sion ment ments ness able ible ably ally ity ous ism ist ists est ers ens ung heit keit "
    "lich isch son".split()
)


class Words(NamedTuple):
    """The words of a document that aren't broken, in lower case.

    Attributes:
        words: Words without a hyphen.
        pairs: Neighbours in words with hyphens: `state-of-the-art` gives `state of`, `of the` and `the art`.
        language: Code of the language whose dictionary is asked; empty for none.
    """

    words: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    language: str


NO_WORDS = Words(frozenset(), frozenset(), "en")


def words_of(texts: Iterable[str]) -> Words:
    """The words in the texts of a document, as the reader of its format gives them."""
    words: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for text in texts:
        for match in _WORD.finditer(text.lower().replace("\r\n", "\n")):
            parts = re.split("[-‐]", match[0])
            words.update(parts) if len(parts) == 1 else pairs.update(pairwise(parts))
    counts = {code: len(frequent & words) for code, frequent in _FREQUENT.items()}
    language = max(counts, key=counts.__getitem__)
    return Words(frozenset(words), frozenset(pairs), language if counts[language] >= 2 else "en")


def mend_breaks(text: str, words: Words = NO_WORDS) -> str:
    """Join the words that are broken at line ends; line breaks are \\n."""

    def joined(match: re.Match[str]) -> str:
        start, end, hyphen = match.start(), match.end(), match[0][0]
        before = _BEFORE.search(text[max(start - _LONGEST, 0) : start])
        behind = _BEHIND.match(text, end, end + _LONGEST)
        if hyphen == "\xad" or not before or not behind:
            return ""
        left, right = before[0], behind[0]
        if hyphen in "-‐–" and not (_is_number_break(left, right) or (left[-1].islower() and right[0].islower())):
            return match[0]
        ends = text[behind.end() : behind.end() + 1] in ("", " ", "\n", ".", ",")
        kept = _hyphen_between(left, right, ends, words)
        return kept.replace("-", hyphen) if hyphen in "‐–" else kept

    return _LEFT_OVER.sub("", _BREAK.sub(joined, text))


def _is_number_break(left: str, right: str) -> bool:
    return left[-1].isdigit() or right[0].isdigit()


def _hyphen_between(left: str, right: str, ends: bool, words: Words) -> str:
    """`-`, nothing, or `- ` before a conjunction. `ends`: the word ends with `right`."""
    if _is_number_break(left, right):
        return "-"
    first, second = re.split(r"[-‐–'’.:/]", left)[-1].lower(), right.lower()
    whole = first + second
    if (first, second) in words.pairs:
        return "-"
    if whole in words.words:
        return ""
    if ends and second in _CONJUNCTIONS and not _is_known(whole, words):
        return "- "
    if len(first) == 1 or (left[-1].islower() and right[0].isupper()):
        return "-"
    return "-" if _is_compound(first, second, left, words) else ""


def _is_compound(first: str, second: str, left: str, words: Words) -> bool:
    if first in _MIDDLES and "-" in left:
        return _is_known(second, words)
    if len(first) + len(second) > _LONGEST or first in _PREFIXES or second in _SUFFIXES:
        return False
    # German writes compounds as one word; only a capital after the hyphen would speak for it.
    if words.language == "de" and left[:1].isupper() and left.isalpha():
        return False
    return not _is_known(first + second, words) and _is_known(first, words) and _is_known(second, words)


def _is_known(word: str, words: Words) -> bool:
    return word in words.words or word in _dictionary(words.language)


@cache
def _dictionary(language: str) -> SpellChecker:
    """The words of a language; reading them takes half a second."""
    from spellchecker import SpellChecker

    return SpellChecker(language=language, distance=1)
