"""How much of a web page's text is kept, and how much of what stands around it is left out.

Without pages: pages made here, whose text and boilerplate are known. With pages: beside trafilatura's choice,
which is no truth but a second opinion (pip install trafilatura).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from ingest.readers.blocks import Context
from ingest.readers.markup import html

MAIN_EN = [
    "The lighthouse on Gull Point was built in 1871 from granite that came by barge.",
    "Its lamp was lit with rape oil for forty years, then with paraffin, and since 1962 with electricity.",
    "The keeper's house can be visited on Saturdays between ten and four o'clock.",
    "Cookies and tea are sold in the old engine room; the menu changes with the season.",
]
MAIN_ZH = [
    "鸥角灯塔建于一八七一年，花岗岩由驳船运来，历时三年完工。",
    "灯塔最初用菜籽油照明，四十年后改用煤油，一九六二年起用电。",
    "守塔人的房子每周六上午十点至下午四点对外开放，需提前预约。",
    "旧机房里出售茶水和曲奇饼，菜单随季节更换。",
]
TABLE = (
    "<table><tr><th>Year</th><th>Keeper</th></tr><tr><td>1871</td><td>Ann Rowe</td></tr>"
    "<tr><td>1902</td><td>Tom Bell</td></tr></table>"
)


def links(*words: str, tag: str = "ul") -> str:
    inner = "li" if tag == "ul" else "span"
    entries = "".join(f'<{inner}><a href="/{word}">{word}</a></{inner}>' for word in words)
    return f"<{tag}>{entries}</{tag}>"


MENU_EN = ("Home", "Harbour", "Tides", "Boats", "Contact us")
MENU_ZH = ("首页", "港口", "潮汐", "船只", "联系我们")
RELATED_EN = ("Ten storms that changed our coast for ever", "How the harbour wall was saved by volunteers")
RELATED_ZH = ("改变海岸线的十场风暴，你知道几场", "志愿者如何保住了港口的防波堤")
COOKIE_EN = "We use cookies to improve your experience and to measure visits. See our privacy policy."
COOKIE_ZH = "本网站使用 Cookie 以改善您的浏览体验，详见隐私政策。"

CHROME: dict[str, tuple[str, str, list[str]]] = {
    "cookie banner with a name": (
        "",
        f'<div id="onetrust-banner-sdk"><p>{COOKIE_EN}</p><button>OK</button></div>',
        [COOKIE_EN],
    ),
    "cookie banner without one": (
        f'<div class="x1"><div><p>{COOKIE_EN}</p><a href="#">Accept all</a><a href="#">Reject</a></div></div>',
        "",
        [COOKIE_EN, "Accept all"],
    ),
    "cookie banner, Chinese": (
        "",
        f'<section class="m"><p>{COOKIE_ZH}</p><button>全部接受</button></section>',
        [COOKIE_ZH],
    ),
    "menu in a div": (f'<div class="main-menu">{links(*MENU_EN)}</div>', "", list(MENU_EN)),
    "menu without a name": (f"<div>{links(*MENU_ZH)}</div>", "", list(MENU_ZH)),
    "menu in a table of links": (
        f'<div class="topnav">{links(*MENU_EN, tag="div")}</div>',
        f'<div class="footer">{links(*MENU_EN, "Imprint")}</div>',
        [*MENU_EN, "Imprint"],
    ),
    "related links by class": (
        "",
        f'<div class="related-posts"><h3>More</h3>{links(*RELATED_EN)}</div>',
        [*RELATED_EN],
    ),
    "related links by heading": ("", f"<h3>Related articles</h3>{links(*RELATED_EN)}", [*RELATED_EN]),
    "related links, Chinese": ("", f"<div><h4>相关阅读</h4>{links(*RELATED_ZH)}</div>", [*RELATED_ZH]),
    "aside": ("", f"<aside><h2>Most read</h2>{links(*RELATED_EN)}</aside>", [*RELATED_EN]),
    "sharing and newsletter": (
        '<a class="skip-link" href="#main">Skip to content</a>',
        f'<div class="share-buttons">{links("Facebook", "Mastodon")}</div><div class="newsletter-signup">'
        "Get our weekly letter <input type=email><button>Subscribe</button></div>",
        ["Skip to content", "Facebook", "Get our weekly letter"],
    ),
}


def pages() -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Name, page, its text and its boilerplate: each kind around English and Chinese texts, in `main` and not."""
    for name, (before, after, dropped) in CHROME.items():
        for language, main in (("en", MAIN_EN), ("zh", MAIN_ZH)):
            body = "".join(f"<p>{text}</p>" for text in main) + TABLE
            for wrapped in (f"<main><h1>Gull Point</h1>{body}</main>", f"<div><h1>Gull Point</h1>{body}</div>"):
                text = f"<html><head><title>Gull Point</title></head><body>{before}{wrapped}{after}</body></html>"
                yield f"{name}, {language}", text, [*main, "Ann Rowe"], dropped


def ours(page: str) -> str:
    return "\n".join(block.text for block in html.read(page.encode(), Context()).blocks)


def everything(page: str) -> str:
    return "\n".join(block.text for block in html.of_text(page).blocks)


def trafilaturas(page: str) -> str:
    import trafilatura

    return str(trafilatura.extract(page, include_tables=True, favor_recall=True) or "")


def readers() -> dict[str, Callable[[str], str]]:
    found = {"before": everything, "ours": ours}
    return found | {"trafilatura": trafilaturas} if find_spec("trafilatura") else found


def measure_made() -> dict[str, dict[str, float]]:
    """Shares of the pieces of text that are kept, and of the boilerplate that is left out, by reader."""
    found = {}
    for name, read in readers().items():
        kept = all_kept = left = all_left = 0
        for _what, page, main, dropped in pages():
            told = read(page)
            kept, all_kept = kept + sum(text in told for text in main), all_kept + len(main)
            left, all_left = left + sum(text not in told for text in dropped), all_left + len(dropped)
        found[name] = {"text": all_kept, "kept": kept / all_kept, "around": all_left, "left_out": left / all_left}
    return found


def measure_real(files: list[Path]) -> dict[str, dict[str, float]]:
    """Characters of each page and what is kept of them; in all the shares of trafilatura's words that are kept,
    and of ours that it leaves out."""
    shared = theirs_alone = ours_alone = 0
    found: dict[str, dict[str, float]] = {}
    for file in files:
        page = file.read_bytes().decode("utf-8", "replace")
        own, whole, other = ours(page), everything(page), trafilaturas(page)
        mine, their = pieces(own), pieces(other)
        shared += sum(len(one) for one in their & mine)
        theirs_alone += sum(len(one) for one in their - mine)
        ours_alone += sum(len(one) for one in mine - their)
        lost = sum(len(one) for one in their & pieces(whole) - mine)
        found[str(file)] = {"whole": len(whole), "ours": len(own), "trafilatura": len(other), "lost": lost}
    found["all"] = {
        "kept of trafilatura's": shared / max(shared + theirs_alone, 1),
        "left out by trafilatura": ours_alone / max(shared + ours_alone, 1),
    }
    return found


def pieces(text: str) -> set[str]:
    """Words in their order, four by four: a text's content, whatever its lines are."""
    words = text.split()
    return {" ".join(words[i : i + 4]) for i in range(max(len(words) - 3, 1))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path, nargs="*", help="saved web pages")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not find_spec("trafilatura"):
        said = "trafilatura isn't installed (pip install trafilatura)"
        if options.pages:
            sys.exit(f"{said}: pages can only be measured beside it.")
        print(f"{said}: only our own figures are shown.", file=sys.stderr)
    found = measure_real(options.pages) if options.pages else measure_made()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        shown = ", ".join(
            f"{what} {value:.1%}" if isinstance(value, float) else f"{what} {value:,}"
            for what, value in figures.items()
        )
        print(f"{name}: {shown}")


if __name__ == "__main__":
    main()
