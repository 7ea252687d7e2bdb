"""What the engine says, in Chinese: by its English template, as it stands in the source, with {} for each value.

In the Chinese the same holes stand in order, or numbered where the order is another; {:told} marks those whose
value is itself something said.
"""

from ui.said_zh.documents import DOCUMENTS
from ui.said_zh.knowledge import KNOWLEDGE
from ui.said_zh.machine import FINDINGS, SYSTEM
from ui.said_zh.models import MODELS

__all__ = ["FINDINGS", "MESSAGES", "SYSTEM"]

MESSAGES = DOCUMENTS | KNOWLEDGE | MODELS
