"""The first screen in the browser, while Streamlit's own scripts still load."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

_STYLE = """<style>
#opening { position: fixed; inset: 0; padding: 18vh 1.5rem 0; background: light-dark(#fff, #0e1117);
  color: light-dark(#31333f, #fafafa); color-scheme: light dark; font: 600 1.75rem system-ui, sans-serif; }
#opening > * { display: block; max-width: 44rem; margin: 0 auto 1.25rem; }
#opening i { height: 1rem; border-radius: .5rem; background: #8883; }
#opening i:last-child { max-width: 30rem; }
</style>"""
_ROOT = '<div id="root"></div>'
_SHOWN = """<div id="root"><div id="opening" role="status" aria-label="Opening … 正在打开……">
<span>kb-assistant</span><i></i><i></i></div></div>"""


def routes(paths: Sequence[str]) -> list[Route]:
    """Streamlit's page at these addresses."""
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    shown = page()

    async def answer(_: Request) -> Response:
        return HTMLResponse(shown, headers={"Cache-Control": "no-cache"})

    return [Route(path, answer) for path in paths]


def page() -> str:
    """Streamlit's HTML with this program's name, and with the screen shown until its scripts take over."""
    import streamlit

    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    html = html.replace("<title>Streamlit</title>", f"<title>kb-assistant</title>{_STYLE}").replace(_ROOT, _SHOWN)
    scripts = "<noscript>This page needs JavaScript. 此页面需要 JavaScript。</noscript>"
    html = re.sub(r"<noscript>.*?</noscript>", scripts, html, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->|<link rel=\"service-desc\"[^>]*>", "", html, flags=re.DOTALL)
