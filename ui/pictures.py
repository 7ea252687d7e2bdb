"""Pictures that travel with the page itself: no address opens them, so that nobody else can load them."""

from __future__ import annotations

import base64


def picture(data: bytes) -> str:
    """A PNG as what Streamlit takes for the address of a picture."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
