"""A shared conversation as a plain page, to read only: no script, no session, no way to anything else."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from kb_assistant import Chat, KBError, SavedTurn
from kb_assistant.errors import ForbiddenError
from kb_assistant.messages import translate
from ui.markdown_tree import tree
from ui.sanitize import strip_invisible
from ui.strings import say_in

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

PREFIX = "/shared/"
_HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}


def routes() -> list[Route]:
    from starlette.routing import Route

    return [Route(f"{PREFIX}{{key}}", _answer)]


def _answer(request: Request) -> Response:
    from starlette.responses import HTMLResponse, RedirectResponse

    from ui.app_state import visiting_desk

    lang = "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"
    key = request.path_params["key"]
    try:
        chat, turns = visiting_desk(request.cookies).shared(key)
    except ForbiddenError:
        return RedirectResponse(f"/login?next={PREFIX}{key}", 303, _HEADERS)
    except KBError:
        return HTMLResponse(_page(lang, "kb-assistant", [_element("p", say_in(lang, "link_gone"))]), 404, _HEADERS)
    return HTMLResponse(shown(chat, turns, lang), headers=_HEADERS)


def shown(chat: Chat, turns: Sequence[SavedTurn], lang: str) -> str:
    """The HTML of a conversation. All texts in it are escaped."""
    title = chat.title or say_in(lang, "untitled")
    parts = [_element("p", say_in(lang, "shared_by", name=chat.owner), "by")]
    for turn in turns:
        parts += _turn(turn, lang)
    return _page(lang, title, parts)


def _turn(turn: SavedTurn, lang: str) -> list[str]:
    parts = [_element("h2", turn.question)]
    if error := turn.reply.get("error"):
        parts.append(_element("p", translate(error, lang), "by"))
    parts.append("".join(_nodes(tree(turn.answer, turn.marks), turn)))
    cited = list(dict.fromkeys(mark.n for mark in turn.marks))
    rows = [_source(turn, n) for n in cited]
    return [*parts, f"<ol>{''.join(rows)}</ol>"] if rows else parts


def _source(turn: SavedTurn, n: int) -> str:
    hit = turn.hits[n - 1]
    place = ", ".join(part for part in (PurePath(hit.source).name, str(hit.locator)) if part)
    text = _element("blockquote", hit.text)
    return f'<li id="t{turn.id}-{n}" value="{n}"><details><summary>{_safe(place)}</summary>{text}</details></li>'


def _nodes(nodes: Sequence[Any], turn: SavedTurn) -> list[str]:
    """A Markdown tree as HTML; its elements are those of markdown_tree alone."""
    found = []
    for node in nodes:
        if isinstance(node, str):
            found.append(_safe(node))
        elif node[0] == "cite":
            n = turn.marks[node[1]].n
            found.append(f'<sup><a href="#t{turn.id}-{n}">{n}</a></sup>')
        elif node[0] in ("br", "hr"):
            found.append(f"<{node[0]}>")
        else:
            found.append(f"<{node[0]}>{''.join(_nodes(node[1:], turn))}</{node[0]}>")
    return found


def _element(tag: str, text: str, of_class: str = "") -> str:
    named = f' class="{of_class}"' if of_class else ""
    return f"<{tag}{named}>{_safe(text)}</{tag}>"


def _safe(text: str) -> str:
    return html.escape(strip_invisible(text))


def _page(lang: str, title: str, parts: Sequence[str]) -> str:
    return f"""<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{_safe(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
body {{ overflow-wrap: anywhere; }}
h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
.by, ol {{ font-size: .9rem; }}
blockquote {{ margin: .5rem 0; padding-left: .75rem; border-left: 3px solid #8888; white-space: pre-wrap; }}
pre {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #8888; padding: .25rem .5rem; }}
</style></head><body><main><h1>{_safe(title)}</h1>{"".join(parts)}</main></body></html>"""
