"""Text to keyword tokens, the same for passages and questions, in Chinese and English.

Han text gives character bigrams (so that any two characters in a row are found) and jieba's longer words
(so that a rare word outranks its parts); Latin text gives words, identifiers whole and by part. What this
doesn't do: stemming, synonyms, traditional/simplified folding.
"""

from __future__ import annotations

import re
import unicodedata

_HAN = r"\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_KANA_HANGUL = r"\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7af"
_CJK_RUN = re.compile(f"[{_HAN}{_KANA_HANGUL}]+")
_TOKEN = re.compile(
    rf"(?P<cjk>[{_HAN}{_KANA_HANGUL}]+)"
    rf"|(?P<word>[^\W{_HAN}{_KANA_HANGUL}]+(?:[-.'’/:@][^\W{_HAN}{_KANA_HANGUL}]+)*[+#]*)"
)
_PART = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Words that name nothing: a question made of them alone has no keyword. Kept short on purpose: common words
# of a corpus are recognised by their frequency.
STOPWORDS = frozenset(
    """
    a an and are as at be been by can could did do does for from had has have he her his how i if in is it its
    me my no not of on or our she should so that the their them then there these they this those to was we were
    what when where which who whom whose why will with would you your about into than also any some tell
    的 了 是 在 和 与 及 或 有 我 你 您 他 她 它 这 那 吗 呢 吧 啊 就 都 也 不 很 被 把 从 到 对 为 以 请 个
    什么 怎么 哪里 哪些 多少 为什么 怎么样 什么时候 请问 一下 一个 如何 可以 是否 没有 它们 他们 我们 你们
    么时 时候 怎样 哪个 谁 几
    """.split()
)


def fold(text: str) -> str:
    """NFKC and lower case: full-width letters and digits equal their plain forms."""
    return unicodedata.normalize("NFKC", text).lower()


def tokens(text: str) -> list[str]:
    """Tokens of `text` in order of appearance, repeats included (BM25 counts them).

    >>> tokens("ERR-1042：水泵")
    ['err-1042', 'err', '1042', '水泵']
    """
    found: list[str] = []
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", text)):
        if match["cjk"]:
            found += _cjk_tokens(match["cjk"])
        else:
            found += _word_tokens(match["word"])
    return found


def query_tokens(text: str) -> list[str]:
    """Distinct tokens of a question that name something, in order of appearance."""
    return [token for token in dict.fromkeys(tokens(text)) if token not in STOPWORDS]


def is_chinese(text: str) -> bool:
    """True where at least a third of the letters are CJK: such a text is answered in Chinese."""
    cjk = sum(len(run) for run in _CJK_RUN.findall(text))
    return cjk * 3 >= sum(character.isalpha() for character in text) > 0


def _cjk_tokens(run: str) -> list[str]:
    import rjieba

    words = [word for word in rjieba.cut_for_search(run) if len(word) != 2]
    bigrams = [run[i : i + 2] for i in range(len(run) - 1)]
    return bigrams + words


def _word_tokens(word: str) -> list[str]:
    whole = word.lower().strip("_").replace("’", "'").removesuffix("'s")
    parts = [part.lower() for piece in _PART.findall(word) for part in _CAMEL.split(piece)]
    found = [whole, *(part for part in parts if len(part) > 1 and part != whole)]
    return [token for token in found if token]  # of "_" nothing is left
