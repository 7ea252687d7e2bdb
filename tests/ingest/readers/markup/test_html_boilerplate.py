"""What stands around a web page's text is left out, and the text stays, also where it looks like boilerplate."""

from __future__ import annotations

import time
from email.message import EmailMessage

import pytest

from benchmarks import boilerplate as made
from ingest.readers.blocks import Context
from ingest.readers.mail import message, mhtml
from ingest.readers.markup import html


def told(page: str) -> str:
    return "\n".join(block.text for block in html.read(page.encode(), Context()).blocks)


@pytest.mark.parametrize(("page", "text", "dropped"), [one[1:] for one in made.pages()], ids=lambda _: "")
def test_text_is_kept_and_boilerplate_left_out(page: str, text: list[str], dropped: list[str]) -> None:
    found = told(page)
    assert [one for one in text if one not in found] == []
    assert [one for one in dropped if one in found] == []


TEXT = "<p>The tower on the northern ridge is 34 metres high and was built in 1904 of local stone.</p>" * 3


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ('<div class="menu"><ul><li>Soup 4.50</li><li>Fish 12.00</li><li>Cake 3.20</li></ul></div>',
         "Fish 12.00"),
        ('<div class="share-price"><p>The share stood at 12.30 on Monday.</p></div>', "12.30"),
        ('<section id="cookie-policy"><h2>Cookies</h2><p>A cookie is kept for 90 days.</p></section>', "90 days"),
        ('<aside class="note"><p>Wear a helmet beyond this gate.</p></aside>', "helmet"),
        ('<footer><p>Open on Saturdays from ten to four. <a href="/m">Map</a></p></footer>', "Saturdays"),
        ("<h3>Related work</h3><p>Smith (1999) measured towers with <a href='/t'>theodolites</a>.</p>",
         "theodolites"),
        ("<h2>热门</h2><p>最热的一天是七月四日，气温达到四十度，创下纪录。</p>", "七月四日"),
        ('<section id="method.share"><h4><a href="#s">fn share</a> returns a handle to the tower</h4></section>',
         "fn share"),
        ("<main><ul>" + "".join(f'<li><a href="/{n}">Tower {n}</a></li>' for n in range(9)) + "</ul></main>",
         "Tower 8"),
        ('<table class="nav"><tr><th>Port<th>Depth</tr><tr><td>Gull</td><td>9 m</td></tr></table>', "9 m"),
        ('<div class="ad-1945"><h2>The year 1945</h2><p>The lamp was dark.</p></div>', "lamp was dark"),
    ],
)  # fmt: skip
def test_text_that_looks_like_boilerplate_stays(part: str, kept: str) -> None:
    assert kept in told(f"<h1>Tower</h1>{TEXT}{part}")


@pytest.mark.parametrize(
    "page",
    [
        "<p>We use cookies for visits.</p><button>Accept all</button>",
        '<div class="related">' + "".join(f'<a href="/{n}">Story {n}</a> ' for n in range(30)) + "</div>",
        "<ul>" + "".join(f'<li><a href="/{n}">Page {n}</a></li>' for n in range(30)) + "</ul>",
        '<div id="cookie-banner"><h1>Cookies at sea</h1><p>They last for months.</p><a href="/">Home</a></div>',
    ],
)
def test_a_page_that_is_nothing_else_stays(page: str) -> None:
    assert told(page) == "\n".join(block.text for block in html.of_text(page).blocks) != ""


def test_a_banner_on_a_short_page_is_left_out() -> None:
    banner = "<div><p>本網站使用 Cookie 提升您的體驗，請參閱隱私權政策。</p><button>接受全部</button></div>"
    assert (
        told(f"<h1>燈塔</h1><p>燈塔建於一八七一年，花崗岩由駁船運來。</p>{banner}")
        == "燈塔建於一八七一年，花崗岩由駁船運來。"
    )


def test_lines_and_headings_of_the_text_stay_as_they_are() -> None:
    around = '<div class="cookie-banner">\n<p>We use cookies.</p>\n<button>OK</button>\n</div>\n'
    page = f"{around}<h1>Tower</h1>\n{TEXT}\n<h2>Height</h2>\n<p>34 metres.</p>"
    last = html.read(page.encode(), Context()).blocks[-1]
    assert (last.text, last.heading, last.lines) == ("34 metres.", "Tower > Height", (8, 8))


def test_titles_in_menus_are_kept_at_the_end() -> None:
    menu = '<div class="menu"><a href="/a">Home</a><a href="/b">How to repair the pump in five steps</a></div>'
    page = f"{menu}<h1>Tower</h1>{TEXT}"
    assert told(page).endswith("- How to repair the pump in five steps")
    assert "Home" not in told(page)


def test_saved_pages_are_read_so_and_mails_whole() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Tower"
    mail.set_content(
        f'<h1>Tower</h1>{TEXT}<div class="related"><a href="/a">One</a> <a href="/b">Two</a></div>', "html"
    )
    data = mail.as_bytes()
    saved = "\n".join(block.text for block in mhtml.read(data, Context()).blocks)
    sent = "\n".join(block.text for block in message.read(data, Context()).blocks)
    assert ("34 metres" in saved, "Two" in saved) == (True, False)
    assert "Two" in sent


@pytest.mark.parametrize(
    "part", ["<div class=nav>", "<p><a href=x>y</a>", "<div>cookie<button>ok</button>", "<li>"]
)
def test_large_pages_take_linear_time(part: str) -> None:
    def seconds(count: int) -> float:
        page = (f"<h1>T</h1>{TEXT}" + part * count).encode()
        start = time.process_time()
        html.read(page, Context())
        return time.process_time() - start

    seconds(10)
    # Quadratic time would be 25 times as much; beside other load a single try may be off.
    assert any(seconds(20_000) < 15 * max(seconds(4_000), 0.02) for _ in range(3))
