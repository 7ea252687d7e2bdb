"""What LangChain's suites must know of our chat models. Mixed in before LangChain's own classes."""

from __future__ import annotations

from typing import Any


class Conformance:
    """No tools, no schemas. A subclass says which model, and with what."""

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False


class LocalConformance(Conformance):
    """For models that write: short answers, always the same."""

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 16, "timeout": 60, "stop": [], "max_retries": 2}
