"""A server that computes with models, over HTTP: how settings name it, its key, and requests that end.

The settings name a model behind a server as `openai:MODEL@URL`; the URL is the one below which the OpenAI API
lies, such as `http://gpu-1:8000/v1`. Requests that fail in passing are sent again, later each time. What comes
back is untrusted: its size and its time are bounded, and its words are quoted without the key.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kb_assistant.errors import ModelError
from kb_assistant.lock import survive_forks
from kb_assistant.messages import _
from kb_assistant.once import once

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

OPENAI = "https://api.openai.com/v1"
TRIES = 5
"""How often a request is sent that fails in passing: the server doesn't answer, is busy or broken."""

MOST_BYTES = 64 << 20
"""Longest answer of a server."""

_NAMED = re.compile(r"openai:(?P<model>(?:(?!@https?:).)+)(?:@(?P<url>https?://.+))?")
_URL = re.compile(r"https?://[^\s/?#@]+[^\s?#@]*")
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
_CONNECT_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_TIMES = 2  # no try begins after so many times the longest time of one
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model behind a server.

    Attributes:
        model: Its name there.
        url: Where the server's API lies, without a slash at the end.
    """

    model: str
    url: str


def is_served(name: str) -> bool:
    """Whether a setting names a model behind a server."""
    return name.startswith("openai:")


def served_model(name: str, base_url: str = "") -> ServedModel:
    """The model that a setting names as `openai:MODEL@URL`.

    Args:
        base_url: Instead of a URL that isn't named; without it OpenAI's own.

    Raises:
        ModelError: it has another form. A key in the URL is refused: settings are shown.
    """
    named = _NAMED.fullmatch(name)
    url = ((named and named["url"]) or base_url or OPENAI).rstrip("/")
    if not named or not _URL.fullmatch(url):
        shown = re.sub(r"//.*@", "//…@", name)
        raise ModelError(
            _("{name!r} names no model behind a server.", name=shown),
            _(
                "Write openai:MODEL@URL, such as openai:bge-m3@http://127.0.0.1:8000/v1; a key comes from a"
                " variable or a file."
            ),
        )
    return ServedModel(named["model"], url)


def server_key(purpose: str) -> str:
    """The key for a server: of the variable KB_<PURPOSE>_KEY, else of the file named by KB_<PURPOSE>_KEY_FILE,
    else of OPENAI_API_KEY; "" if none is set.

    Args:
        purpose: "embedder" or "reranker".

    Raises:
        ModelError: the file can't be read, or what is set can't be a key.
    """
    variable = f"KB_{purpose.upper()}_KEY"
    of_file = f"{variable}_FILE"
    key, place = os.environ.get(variable, ""), variable
    if not key and (file := os.environ.get(of_file)):
        place = file
        try:
            key = Path(file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ModelError(
                _("{path} can't be read: {reason}.", path=file, reason=error),
                _("{variable} names the file that holds the key.", variable=of_file),
            ) from error
        if not key:
            raise ModelError(_("{path} holds no key.", path=file), _("Write the key into it, and nothing else."))
    if not key:
        key, place = os.environ.get("OPENAI_API_KEY", ""), "OPENAI_API_KEY"
    if not all("!" <= character <= "~" for character in key):
        raise ModelError(_("What {place} holds can't be a key.", place=place), _("A key is one word."))
    return key


class ServerError(ModelError):
    """A request to a server failed.

    Attributes:
        status: HTTP status; 0 if there was no answer.
        passing: Whether the same request may succeed later.
        pause: Seconds after which the server wants it again; 0 if it doesn't say.
    """

    def __init__(
        self, message: str, hint: str = "", *, status: int = 0, passing: bool = False, pause: float = 0.0
    ) -> None:
        super().__init__(message, hint)
        self.status, self.passing, self.pause = status, passing, pause


class ModelServer:
    """Sends requests to one server. Safe to share between threads.

    Args:
        url: Where its API lies.
        key: Sent with each request, and never shown; "" for none.
        seconds: Longest time for one request.
    """

    def __init__(self, url: str, key: str = "", seconds: float = 60.0) -> None:
        self.url, self.seconds = url, seconds
        self._key = key
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: the connections are the parent's."""

    def after_fork(self) -> None:
        """Open connections of its own in a forked child."""
        vars(self).pop("_client", None)

    def post(self, path: str, body: Mapping[str, Any], *, seconds: float | None = None, tries: int = TRIES) -> Any:
        """The JSON value that the server answers to a JSON object.

        Args:
            path: Below the URL, such as "/embeddings".
            seconds: Longest time for one request, instead of the server's.
            tries: How often it is sent if it fails in passing.

        Raises:
            ServerError: it failed, the last time or for good.
        """
        seconds = self.seconds if seconds is None else seconds
        until, pause = time.monotonic() + _TIMES * seconds, _FIRST_PAUSE_S
        for left in reversed(range(tries)):
            try:
                return self._once(path, body, seconds)
            except ServerError as error:
                wait = error.pause or pause * random.uniform(0.75, 1.25)
                if not (left and error.passing) or wait > _LONGEST_PAUSE_S or time.monotonic() + wait > until:
                    raise
                _log.warning("%s Next try in %.1f s.", error.message, wait)
                time.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        raise AssertionError("a loop without an end")

    def _once(self, path: str, body: Mapping[str, Any], seconds: float) -> Any:
        import httpx

        until = time.monotonic() + seconds
        wait = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_S))
        try:
            with self._client.stream("POST", self.url + path, json=body, timeout=wait) as response:
                data = self._body(response, until)
        except httpx.TimeoutException as error:
            raise self._late(seconds, error) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
            raise ServerError(
                _("The server at {url} can't be reached: {reason}.", url=self.url, reason=self._said(str(error))),
                _("Start it, or look at the address and the network."),
                passing=True,
            ) from error
        if data is None:
            raise self._late(seconds)
        if response.status_code != 200:
            raise self._refused(response, data)
        return self._json(data)

    def _body(self, response: httpx.Response, until: float) -> bytes | None:
        """The answer's body; None if it doesn't end in time."""
        data = bytearray()
        for block in response.iter_raw():
            data += block
            if len(data) > MOST_BYTES:
                raise self._nonsense(_("its answer is larger than {megabytes} MB", megabytes=MOST_BYTES >> 20))
            if time.monotonic() > until:
                return None
        return bytes(data)

    def _json(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._nonsense(_("its answer isn't JSON: {reason}", reason=error)) from error

    def _nonsense(self, reason: str) -> ServerError:
        return ServerError(
            _("The server at {url} doesn't speak the OpenAI API: {reason}.", url=self.url, reason=reason),
            _("The address is the one below which /embeddings or /rerank lie; it mostly ends in /v1."),
        )

    def _late(self, seconds: float, error: Exception | None = None) -> ServerError:
        connecting = type(error).__name__ == "ConnectTimeout"
        return ServerError(
            _("The server at {url} can't be reached in {seconds:g} s.", url=self.url, seconds=_CONNECT_S)
            if connecting
            else _("The server at {url} doesn't answer in {seconds:g} s.", url=self.url, seconds=seconds),
            _("Look whether it works, or raise server_seconds."),
            passing=True,
        )

    def _refused(self, response: httpx.Response, data: bytes) -> ServerError:
        status = response.status_code
        said = self._said(_reason(data) or response.reason_phrase)
        message = _("The server at {url} says {status}: {reason}", url=self.url, status=status, reason=said)
        if status in (401, 403):
            hint = _("Set the variable KB_EMBEDDER_KEY or KB_RERANKER_KEY, or the same with _FILE for a file.")
        elif status == 404:
            hint = _("Look at the model's name and the address, which mostly ends in /v1.")
        elif status in _PASSING:
            hint = _("Try again later; the server's log says more.")
        else:
            hint = _("The server's log says more.")
        after = response.headers.get("retry-after", "")
        pause = float(after) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", after) else 0.0
        return ServerError(message, hint, status=status, passing=status in _PASSING, pause=pause)

    def _said(self, text: str) -> str:
        """A server's own words in a line that can be shown: short, without the key."""
        if self._key:
            text = text.replace(self._key, "…")
        return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_SHOWN]

    @once
    def _client(self) -> httpx.Client:
        try:
            import httpx
        except ImportError as error:
            raise ModelError(_("Package httpx is missing."), _('pip install "kb-assistant[openai]"')) from error

        headers = {"accept-encoding": "identity"}  # a packed answer could unpack to any size
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        here = urlsplit(self.url).hostname in _LOOPBACK
        return httpx.Client(headers=headers, trust_env=not here)


def _reason(data: bytes) -> str:
    """What an error's body says, in OpenAI's form or another."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        return data[:1000].decode("utf-8", "replace")
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)[:1000]
