"""Whatever the description allows, and what it doesn't, is asked: the server answers as described, never fails.

Requests are made by schemathesis from openapi.json. Half of them name knowledge bases that are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.serve.guarded import MARKER, QUESTION, client, guarded, token
from tests.serve.running import Running
from tests.waiting import PATIENCE

EXAMPLES = 8
MANY = 150
load_all_checks()
HELD = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with guarded(tmp_path_factory.mktemp("described") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def held(server: Running) -> dict[str, str]:
    """A token for everybody; "" for nobody."""
    server.service.workspace.access.put_user("owner")
    server.service.workspace.access.grant("*", "user:owner", "manage")
    return {who: token(server, who) for who in ("nobody", "reader", "writer", "owner")}


def _operations(server: Running) -> Iterator[Any]:
    with client(server, "board") as asked:
        described = asked.get("/openapi.json").json()
    for found in schemathesis.openapi.from_dict(described).get_all_operations():
        yield found.ok()


def _cases(operation: Any) -> Iterator[Any]:
    """Strategies for requests that fit the description, and for such as don't; paths are texts, which all fit."""
    yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if operation.body or operation.query:
        yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def _aimed(case: Case, kb: str | None) -> None:
    """Have a request name a knowledge base, and ask something."""
    if kb is None:
        return
    if case.path_parameters and "kb" in case.path_parameters:
        case.path_parameters["kb"] = kb
    body: Any = case.body
    if isinstance(body, dict):
        known = {
            "model": f"kb/{kb}",
            "knowledge_id": kb,
            "question": QUESTION,
            "query": QUESTION,
            "where": ["type=md"],
        }
        if case.path.endswith("/embeddings"):
            known["model"] = "hash:query"
        body.update({name: value for name, value in known.items() if isinstance(body.get(name), type(value))})
        said = body.get("messages")
        if isinstance(said, list) and said and isinstance(said[-1], dict):
            said[-1].update(role="user", content=QUESTION)


def _asked(server: Running, operation: Any, held: dict[str, str], examples: int) -> dict[str, set[int]]:
    """The statuses of one operation by who asks, each answer of which is checked."""
    statuses: dict[str, set[int]] = {who: set() for who in held}

    for cases in _cases(operation):

        @settings(
            max_examples=examples,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, kb=st.sampled_from(["station", "vault", None]))
        def ask(case: Case, kb: str | None) -> None:
            _aimed(case, kb)
            for who, authorization in held.items():
                if who == "owner" and (case.method, case.path) == ("DELETE", "/api/v1/bases/{kb}"):
                    continue
                headers = {"authorization": f"Bearer {authorization}"}
                answer = case.call(base_url=server.url, headers=headers, timeout=PATIENCE)
                said = (who, case.as_curl_command())
                assert answer.status_code < 500, (said, answer.text)
                assert who == "owner" or MARKER not in answer.text, said
                case.validate_response(answer, checks=CHECKS.get_by_names(HELD))
                statuses[who].add(answer.status_code)

        ask()
    return statuses


def _walk(server: Running, held: dict[str, str], examples: int) -> None:
    for operation in _operations(server):
        statuses = _asked(server, operation, held, examples)
        if operation.path not in ("/healthz", "/readyz"):
            assert statuses.get("nobody", set()) <= {401, 403, 413}, operation.label
        assert httpx.get(f"{server.url}/healthz").text == "ok"


def test_a_writer(server: Running, held: dict[str, str]) -> None:
    _walk(server, {"writer": held["writer"]}, EXAMPLES)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_everybody(server: Running, held: dict[str, str]) -> None:
    _walk(server, held, MANY)
