"""Wrong tokens are counted by the address they come from."""

from __future__ import annotations

import pytest

from kb_assistant.workspace import attempts as attempts_module
from kb_assistant.workspace.attempts import Attempts, address_of


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", ""),
        ("x" * 60_000, ""),
    ],
)
def test_addresses_are_counted_as_senders_have_them(host: str, address: str) -> None:
    assert address_of({"client": (host, 1)}) == address
    assert address_of({"client": None}) == address_of({}) == ""


def test_the_limit_passes_and_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(10):
        attempts.wrong("a")
    assert attempts.exhausted("a")
    assert not attempts.exhausted("b")
    now[0] = 61.0
    assert not attempts.exhausted("a")
    monkeypatch.setattr(attempts_module, "MOST_ADDRESSES", 3)
    for name in "bcdefg":
        attempts.wrong(name)
    assert len(attempts._wrong) == 3
