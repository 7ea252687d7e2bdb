"""Finds numbers with their units in text, so that `4.5kg`, `4.5 kg`, `4.5 kilograms` and `4.5公斤` are one.

Nothing is converted: 1000 g isn't 1 kg. Chinese numerals are read, English number words aren't.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

# A unit's symbol and its other names.
_UNITS = """
mm: millimetre millimeter 毫米; cm: centimetre centimeter 厘米 公分; m: metre meter 米 公尺
km: kilometre kilometer 公里 千米; inch: inches 英寸 吋; ft: foot feet 英尺; mile: 英里
m2: sqm 平方米 平米; m3: 立方米; ml: millilitre milliliter 毫升; l: L litre liter 升 公升
mg: milligram 毫克; g: gram 克; kg: kilo kilogram 公斤 千克; t: tonne 吨; lb: lbs 磅; oz: ounce 盎司
ms: millisecond 毫秒; s: sec second 秒 秒钟; min: mins minute 分钟; h: hr hrs hour 小时 个小时 个钟头
day: 天; week: 周 个星期 星期; month: 个月; year: yr yrs 年
hz: hertz 赫兹; khz: kilohertz 千赫; mhz: megahertz 兆赫; ghz: gigahertz 吉赫
w: W watt 瓦 瓦特; kw: kilowatt 千瓦; kwh: 千瓦时 度电; v: V volt 伏 伏特; kv: kilovolt 千伏
a: A amp ampere 安培; ma: 毫安; mah: 毫安时; ah: 安时; ohm: Ω 欧姆
pa: pascal 帕; kpa: 千帕; mpa: 兆帕; bar: 巴; psi:; nm: 牛米; kj: 千焦; kcal: 千卡 大卡; db: decibel 分贝
kb: kilobyte; mb: megabyte 兆 兆字节; gb: gigabyte 吉字节; tb: terabyte; kbps:; mbps:; gbps:; px: pixel 像素
rpm: r/min 转 转/分 转/分钟 转每分 转每分钟; km/h: kmh kph 公里/小时 公里每小时; m/s: 米/秒 米每秒
l/min: 升/分 升/分钟 升每分钟; l/h: 升/小时 升每小时; m3/h: 立方米/小时; g/l: 克/升
degc: °C 摄氏度; degf: °F 华氏度; pct: % percent; 号:
cny: 元 块 块钱 yuan rmb; usd: dollar 美元; eur: euro 欧元
"""
_CURRENCIES = {"$": "usd", "€": "eur", "¥": "cny", "£": "gbp"}
_LONGEST = 20  # digits; a longer number counts nothing


def _names() -> dict[str, str]:
    """The symbol of each name. Letters that stand alone keep their case: `a` is a word, too."""
    found: dict[str, str] = {}
    for line in re.split(r"[;\n]", _UNITS.strip()):
        symbol, _, others = (part.strip() for part in line.partition(":"))
        for name in (symbol, *others.split()):
            if name not in ("a", "v", "w"):
                found[name if len(name) == 1 else name.lower()] = symbol
                if len(name) > 2 and name.isascii() and name.isalpha():
                    found[f"{name}s".lower()] = symbol
    return found


_SYMBOL_OF = _names()


def _any(names: Iterable[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def _any_by_letter(names: Iterable[str]) -> str:
    """The same by first letters: a search that ignores case tries all of a plain list, and takes twice as long."""
    rests: dict[str, list[str]] = {}
    for name in names:
        rests.setdefault(f"[{name[0].lower()}{name[0].upper()}]", []).append(name[1:])
    return "|".join(f"(?-i:{letter})(?:{_any(rest)})" for letter, rest in rests.items())


_CHINESE = _any(name for name in _SYMBOL_OF if "\u4e00" <= name[0] <= "\u9fff")
_LATIN = _any_by_letter(name for name in _SYMBOL_OF if not "\u4e00" <= name[0] <= "\u9fff")
_HAN = "零〇一二两三四五六七八九十百千万亿"
_FIRST = rf"(?-i:(?=[-−$€¥£\d{_HAN}]))"  # halves the time
_QUANTITY = re.compile(
    rf"{_FIRST}(?<![A-Za-z0-9_.,第])(?P<minus>(?<!\w)[-−])?(?P<currency>[$€¥£]\s?)?"
    rf"(?:(?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<myriad>[万亿])?|(?<![{_HAN}])(?P<han>[{_HAN}]{{1,12}}))"
    rf"(?:(?P<gap>[-\s]?)(?P<latin>{_LATIN})(?![A-Za-z0-9_/²³])|\s?(?P<chinese>{_CHINESE})|(?<=[\d万亿])(?!\w|\.\d|\s(?:thousand|million|billion|trillion|bn|m|k)\b))",
    re.IGNORECASE,
)
_DIGITS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_PLACES = {"十": 10, "百": 100, "千": 1000}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, and where it stands in a text.

    Attributes:
        number: In plain digits, such as `-10` or `4.5`.
        unit: The unit's symbol, in small letters.
        together: Whether it is written as one word, such as `4.5kg`.
    """

    start: int
    end: int
    number: str
    unit: str
    together: bool

    @property
    def form(self) -> str:
        """Its keyword.

        >>> [one.form for one in quantities("4.50 kilograms，一万二千元, 1,200 rpm")]
        ['4.5kg', '12000cny', '1200rpm']
        """
        return f"{self.number}{self.unit}"


def quantities(text: str) -> Iterator[Quantity]:
    """The quantities of a text in order.

    Args:
        text: Folded text: see kb_assistant.text.analyzer.fold.
    """
    for match in _QUANTITY.finditer(text):
        unit = _unit(match)
        number = _number(match) if unit else ""
        if number and not (match["chinese"] == "年" and len(number) == 4):  # 2026年 is a year
            together = bool(match["latin"]) and not match["gap"]
            yield Quantity(match.start(), match.end(), f"{'-' if match['minus'] else ''}{number}", unit, together)


def _unit(match: re.Match[str]) -> str:
    if currency := match["currency"]:
        return "" if match["latin"] or match["chinese"] else _CURRENCIES[currency.strip()]
    name = match["latin"] or match["chinese"] or ""
    if len(name) != 1:
        return _SYMBOL_OF.get(name.lower(), "")
    if name in _SYMBOL_OF and not (name == "s" and match["number"] and match["number"].endswith("0")):  # the 90s
        return _SYMBOL_OF[name]
    return _SYMBOL_OF.get(name.swapcase(), "") if not match["gap"] and name not in "sS" else ""


def _number(match: re.Match[str]) -> str:
    """In plain digits, without zeros at the end of a fraction; "" if it is too long to count with."""
    digits = match["number"]
    if not digits:
        return han_number(match["han"])
    if len(digits) > _LONGEST:
        return ""
    value = Decimal(digits.replace(",", ""))
    if match["myriad"]:
        value *= 10**4 if match["myriad"] == "万" else 10**8
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def han_number(written: str) -> str:
    """A Chinese number in digits; "" if it is none."""
    if not set(written) & set("十百千万亿"):
        return "".join(str(_DIGITS[sign]) for sign in written).lstrip("0") or "0"
    whole = part = digit = 0
    for sign in written:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign in _PLACES:
            part, digit = part + (digit or 1) * _PLACES[sign], 0
        else:
            whole, part, digit = (whole + part + digit) * (10**4 if sign == "万" else 10**8), 0, 0
    return str(whole + part + digit)
