"""Answers without a language model: the sentences of the passages that answer best, quoted."""

from kb_assistant.llm.extract.chat import ExtractChat

__all__ = ["ExtractChat"]
