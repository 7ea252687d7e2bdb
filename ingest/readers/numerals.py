"""Numbers as programs write them before headings and items: 4, d, IV, 四, 肆, ④, 丁.

The names of the styles are those of Word (ST_NumberFormat, ECMA-376 Part 1, 17.18.59).
"""

from __future__ import annotations

_LARGEST = 9999  # larger numbers use digits, as no list is so long
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_COUNTING = ("零一二三四五六七八九", "十百千")
_LEGAL_SIMPLIFIED = ("零壹贰叁肆伍陆柒捌玖", "拾佰仟")
_LEGAL_TRADITIONAL = ("零壹貳參肆伍陸柒捌玖", "拾佰仟")
_KOREAN = ("영일이삼사오육칠팔구", "십백천")
_DIGITS = {
    "ideographDigital": "〇一二三四五六七八九",
    "japaneseDigitalTenThousand": "〇一二三四五六七八九",
    "taiwaneseDigital": "〇一二三四五六七八九",
    "koreanDigital": "영일이삼사오육칠팔구",
    "decimalFullWidth": "０１２３４５６７８９",
    "decimalFullWidth2": "０１２３４５６７８９",
}
# Styles with a sign for each of the first numbers; further numbers use digits.
_SIGNS = {
    "decimalEnclosedCircle":
    "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳㉑㉒㉓㉔㉕㉖㉗㉘㉙㉚㉛㉜㉝㉞㉟㊱㊲㊳㊴㊵㊶㊷㊸㊹㊺㊻㊼㊽㊾㊿",
    "decimalEnclosedFullstop": "⒈⒉⒊⒋⒌⒍⒎⒏⒐⒑⒒⒓⒔⒕⒖⒗⒘⒙⒚⒛",
    "decimalEnclosedParen": "⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⑾⑿⒀⒁⒂⒃⒄⒅⒆⒇",
    "ideographEnclosedCircle": "㊀㊁㊂㊃㊄㊅㊆㊇㊈㊉",
    "ideographTraditional": "甲乙丙丁戊己庚辛壬癸",
    "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
    "ganada": "가나다라마바사아자차카타파하",
    "chosung": "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "aiueoFullWidth":
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン",
    "irohaFullWidth":
    "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセス",
    "russianLower": "абвгдежзиклмнопрстуфхцчшщыэюя",
    "russianUpper": "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЫЭЮЯ",
}  # fmt: skip
_SIGNS |= {"decimalEnclosedCircleChinese": _SIGNS["decimalEnclosedCircle"], "aiueo": _SIGNS["aiueoFullWidth"],
           "iroha": _SIGNS["irohaFullWidth"]}  # fmt: skip
_CARDINALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
             "nine": "ninth", "twelve": "twelfth"}  # fmt: skip


def numeral(count: int, style: str) -> str:
    """A number in a style; digits if the style is unknown or has no sign for it.

    >>> [numeral(14, style) for style in ("lowerLetter", "upperRoman", "chineseCounting", "ordinal", "other")]
    ['n', 'XIV', '十四', '14th', '14']
    """
    if not 0 < count <= _LARGEST:
        return str(count)
    if style in ("lowerLetter", "upperLetter"):
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letters.upper() if style == "upperLetter" else letters
    if style in ("lowerRoman", "upperRoman"):
        return _roman(count).upper() if style == "upperRoman" else _roman(count)
    if signs := _SIGNS.get(style):
        return signs[count - 1] if count <= len(signs) else str(count)
    if digits := _DIGITS.get(style):
        return "".join(digits[int(digit)] for digit in str(count))
    if style in ("decimalZero", "numberInDash"):
        return f"{count:02}" if style == "decimalZero" else f"- {count} -"
    if style in ("ordinal", "ordinalText", "cardinalText"):
        return _in_english(count, style)
    return _in_han(count, style)


def _roman(count: int) -> str:
    said = ""
    for value, letters in _ROMAN:
        said += letters * (count // value)
        count %= value
    return said


def _in_english(count: int, style: str) -> str:
    if style == "ordinal":
        teen = 10 < count % 100 < 20
        return f"{count}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(count % 10, 'th')}"
    if count >= 100:
        return str(count)
    tens, ones = divmod(count, 10)
    words = [_CARDINALS[count]] if count < 20 else [_TENS[tens - 2], *([_CARDINALS[ones]] if ones else [])]
    if style == "ordinalText":
        last = words[-1]
        words[-1] = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return "-".join(words).capitalize()


def _in_han(count: int, style: str) -> str:
    """The number in words that count thousands, hundreds and tens."""
    if style.startswith(("chineseLegal", "ideographLegal", "japaneseLegal")):
        digits, units = _LEGAL_SIMPLIFIED if style == "chineseLegalSimplified" else _LEGAL_TRADITIONAL
        return _counted(count, digits, units)
    if style.startswith(("chineseCounting", "taiwaneseCounting")):
        said = _counted(count, *_COUNTING)
        return said.removeprefix("一") if 10 <= count < 20 else said
    if style == "japaneseCounting":
        return _counted(count, *_COUNTING, bare=True)
    if style in ("koreanCounting", "koreanLegal"):
        return _counted(count, *_KOREAN, bare=True)
    return str(count)


def _counted(count: int, digits: str, units: str, bare: bool = False) -> str:
    """`bare`: without a one before a unit, and without a zero for a gap, as in Japanese and Korean."""
    said, gap = "", False
    figures = str(count)
    for place, figure in enumerate(figures):
        power = len(figures) - place - 1
        if figure == "0":
            gap = bool(said)
            continue
        said += digits[0] if gap and not bare else ""
        said += "" if bare and figure == "1" and power else digits[int(figure)]
        said += units[power - 1] if power else ""
        gap = False
    return said
