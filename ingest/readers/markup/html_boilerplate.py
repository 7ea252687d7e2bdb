"""What a page shows beside its text: cookie banners, menus, related links, buttons to share and subscribe.

A part is left out if its names (class, id, role), its heading or its buttons say what it is, and its text looks
so: mostly links, or short. Text density and link density tell boilerplate from text (Kohlschütter et al.,
"Boilerplate detection using shallow text features", 2010). What holds much of the page's text is never left out,
so that a page about cookies or a list of links stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LINKED = 0.6
"""Share of a part's characters within links from which it is taken for a list of links."""

_MOST_OF_PAGE, _MOST_IF_BANNER = 0.4, 0.75
"""Share of the page's text without links that no boilerplate has; of a short page a banner may be more."""

_LONGEST_BANNER, _SHORT_BANNER, _LONGEST_BOX, _LONGEST_ENTRY = 1500, 200, 400, 40
"""Characters, without white space."""

_FEWEST_ENTRIES = 4

_COOKIES = frozenset(
    "cookie cookies cookiebar cookiebanner cookieconsent cookienotice consent gdpr ccpa onetrust cookiebot "
    "didomi usercentrics truste quantcast".split()
)
_MENUS = frozenset(
    "nav navbar navigation navi navbox menu menubar submenu topnav topbar breadcrumb breadcrumbs crumb crumbs "
    "pagination pager sidebar footer toolbar daohang caidan complementary contentinfo search".split()
)
_RELATED_NAMES = frozenset(
    "related recommended recommend recommendation recommendations suggested suggestions popular trending mostread "
    "readmore morestories morefrom hot ranking xiangguan tuijian".split()
)
_BOXES = frozenset(
    "share sharing sharebar social socials newsletter subscribe subscription signup advert advertisement "
    "advertising ad ads adsbygoogle sponsor sponsored promo promotion outbrain taboola skiplink skipnav "
    "backtotop totop fenxiang guanggao".split()
)
_RELATED = re.compile(
    r"(?:(?:related|similar|recommended|suggested|popular|trending|latest|recent|more|further|other)"
    r"(?: on this)? ?(?:articles?|posts?|stories|links?|news|contents?|reading|pages?|topics?|videos?|now|reads)?|"
    r"most (?:read|popular|viewed)|more (?:from|on|in|about) .{0,30}|"
    r"you (?:may|might) (?:also )?(?:like|enjoy).{0,20}|"
    r"(?:recommended|picked) for you|read (?:more|next|also)|see also our .{0,20}|up next|"
    r"相关(?:阅读|文章|新闻|推荐|链接|内容)|相關(?:閱讀|文章|新聞|推薦|連結|內容)|延伸(?:阅读|閱讀)|"
    r"(?:推荐|推薦|热门|熱門|最新|更多)(?:阅读|閱讀|文章|新闻|新聞|内容|內容|消息|推荐|推薦)?|猜你(?:喜欢|喜歡)|"
    r"[你您]可能(?:[还也還])?(?:喜欢|喜歡|感兴趣|感興趣).{0,6}|大家都在看|上一篇.{0,40}|下一篇.{0,40})[:：…]?",
    re.IGNORECASE,
)
_ACCEPTS = re.compile(
    r"(?:i )?(?:accept|allow|agree|got it|reject|decline|refuse|deny)\b.{0,25}|(?:manage|cookie|privacy) "
    r"(?:cookies|preferences|settings|choices|options).{0,10}|only necessary.{0,15}|"
    r"(?:全部)?(?:接受|同意|拒绝|拒絕|允许|允許).{0,10}|我知道了|知道了|(?:管理|设置|設定).{0,4}cookie.{0,6}",
    re.IGNORECASE,
)
_SKIPS = re.compile(
    r"(?:skip|jump) to .{0,20}|(?:back|return) to (?:the )?top|跳(?:到|至|转到|過).{0,8}|"
    r"(?:回到|返回)(?:顶部|頂部|页首|頁首)",
    re.IGNORECASE,
)
_ABOUT_COOKIES = re.compile(r"cookie|小型文本文件|隐私(?:政策|权)|隱私(?:政策|權)", re.IGNORECASE)
_NEVER = frozenset("html body main article h1 table tbody thead tr".split())
_TITLES = frozenset("h2 h3 h4 h5 h6 p strong b div span dt legend".split())
_PLAIN_ID = re.compile(r"[A-Za-z][\w-]*")
_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(slots=True)
class _Measure:
    """The text of an element, in characters without white space."""

    text: int = 0
    linked: int = 0
    links: int = 0
    controls: int = 0
    longest_entry: int = 0
    has_h1: bool = False
    cookies: bool = False
    accepts: bool = False

    @property
    def share(self) -> float:
        return self.linked / self.text if self.text else 0.0


def boilerplate(root: Any) -> set[Any]:
    """The elements of a whole page to leave out, outermost ones. Takes time linear in the page."""
    sizes = _measured(root)
    whole = sizes[root]
    found: set[Any] = set()
    for node in _elements(root):
        if node.tag in _NEVER or node in found:
            continue
        size = sizes[node]
        own = size.text - size.linked
        is_short_banner = size.cookies and size.accepts and size.text <= _SHORT_BANNER
        most = _MOST_IF_BANNER if is_short_banner else _MOST_OF_PAGE
        if size.has_h1 or own > most * max(whole.text - whole.linked, 1) or size.text == whole.text:
            continue
        if (
            _is_skip_link(node, size)
            or _is_banner(node, size)
            or _is_named(node, size, whole)
            or _is_plain_menu(node, size, whole)
        ):
            found.add(node)
        elif node.tag in _TITLES and size.text <= _LONGEST_ENTRY and _RELATED.fullmatch(_words(node)):
            found.update(_related_links(node, sizes, whole))
    return found


def _elements(root: Any) -> Iterator[Any]:
    return (node for node in root.iter() if isinstance(node.tag, str))


def is_menu(node: Any) -> bool:
    """Whether an element's names say that it is a menu."""
    return bool(_names(node) & _MENUS)


def _measured(root: Any) -> dict[Any, _Measure]:
    """The measure of each element, from the leaves up."""
    sizes: dict[Any, _Measure] = {}
    for node in reversed(list(_elements(root))):
        size = _Measure(has_h1=node.tag == "h1")
        if node.tag not in ("script", "style", "noscript", "template"):
            _add_texts(size, node, sizes)
        is_link = node.tag == "a" and node.get("href") is not None
        if is_link:
            size.linked, size.links, size.longest_entry = size.text, int(size.text > 0), size.text
        if is_link or node.tag in ("button", "input"):
            size.controls += 1
            size.accepts |= size.text <= _LONGEST_ENTRY and bool(_ACCEPTS.fullmatch(_label(node)))
        sizes[node] = size
    return sizes


def _add_texts(size: _Measure, node: Any, sizes: dict[Any, _Measure]) -> None:
    """Add the element's own text, and the measures of its children."""
    texts = [node.text, *(child.tail for child in node)]
    size.text = sum(map(_length, texts))
    size.cookies = any(_ABOUT_COOKIES.search(text) for text in texts if text)
    for child in node:
        if inner := sizes.get(child):
            size.text += inner.text
            size.linked += inner.linked
            size.links += inner.links
            size.controls += inner.controls
            size.longest_entry = max(size.longest_entry, inner.longest_entry)
            size.has_h1 |= inner.has_h1
            size.cookies |= inner.cookies
            size.accepts |= inner.accepts


def _length(text: str | None) -> int:
    return len("".join(text.split())) if text else 0


def _words(node: Any) -> str:
    return " ".join("".join(node.itertext()).split())


def _names(node: Any) -> set[str]:
    """The words of which its class, id and role are made. An id with other characters than letters and hyphens is
    made by a program from the text."""
    id_ = node.get("id") or ""
    named = " ".join((node.get("class") or "", node.get("role") or "", id_ if _PLAIN_ID.fullmatch(id_) else ""))
    return {word.lower() for word in _NAME.findall(named)} | set(re.split(r"[^a-z]+", named.lower()))


def _is_skip_link(node: Any, size: _Measure) -> bool:
    """Whether it only leads to another place on the page."""
    return (
        node.tag == "a"
        and node.get("href", "").startswith("#")
        and size.text <= _LONGEST_ENTRY
        and bool(_SKIPS.fullmatch(_words(node)))
    )


def _is_banner(node: Any, size: _Measure) -> bool:
    """Whether it asks for consent to cookies."""
    if not 0 < size.text <= _LONGEST_BANNER or node.tag not in (
        "div",
        "section",
        "aside",
        "dialog",
        "form",
        "footer",
    ):
        return False
    return (size.cookies and size.accepts) or (bool(_names(node) & _COOKIES) and size.controls > 0)


def _label(button: Any) -> str:
    return _words(button) or " ".join((button.get("value") or "").split())


def _is_named(node: Any, size: _Measure, whole: _Measure) -> bool:
    """Whether its names say what it is, and its text looks so."""
    names = _names(node) | ({node.tag} if node.tag in ("aside", "footer") else set())
    if names & (_MENUS | _RELATED_NAMES) and size.share >= _LINKED and size.text < 0.5 * whole.text:
        return True
    return bool(names & _BOXES) and 0 < size.text <= min(_LONGEST_BOX, 2 * _LONGEST_ENTRY * size.controls)


def _is_plain_menu(node: Any, size: _Measure, whole: _Measure) -> bool:
    """Whether it is a list of short links outside of the text, on a page that has text."""
    return (
        node.tag in ("ul", "ol", "div", "header", "section", "p")
        and size.links >= _FEWEST_ENTRIES
        and size.share >= 0.9
        and size.longest_entry <= _LONGEST_ENTRY // 2
        and size.text < 0.5 * (whole.text - whole.linked)
        and next(node.iterancestors("main", "article"), None) is None
    )


def _related_links(heading: Any, sizes: dict[Any, _Measure], whole: _Measure) -> list[Any]:
    """The heading of related links with them, if links follow it."""
    above = heading.getparent()
    if above is not None and above.tag not in _NEVER:
        size = sizes[above]
        if size.links > 1 and size.share >= _LINKED and size.text < 0.5 * whole.text:
            return [above]
    below = heading.getnext()
    if below is not None and below in sizes and below.tag not in _NEVER:
        size = sizes[below]
        if size.links and size.share >= _LINKED and size.text < 0.5 * whole.text:
            return [heading, below]
    return []
