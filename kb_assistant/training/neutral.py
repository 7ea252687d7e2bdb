"""Prompts about nothing in particular, to see what a model forgets, and to keep it from forgetting.

The base model's own answers to them are mixed into what is learned (replay), or measured before and after.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kb_assistant.training.data import Conversation, Style
from kb_assistant.training.encode import Encoder

if TYPE_CHECKING:
    from kb_assistant.llm.base import LocalChat

_TASKS = {
    "en": (
        "Explain {topic} in three sentences.",
        "Why does {topic} matter to people?",
        "Write a short story in which {topic} plays a part.",
        "Give three questions that one could ask about {topic}.",
        "What is a common mistake about {topic}?",
        "Write a friendly message to a colleague about {topic}.",
    ),
    "zh": (
        "请用三句话解释{topic}。",
        "{topic}为什么对人们很重要？",
        "请写一个和{topic}有关的小故事。",
        "关于{topic}，可以提出哪三个问题？",
        "关于{topic}，人们常有什么误解？",
        "请给同事写一条关于{topic}的友好消息。",
    ),
}
_TOPICS = {
    "en": (
        "rain", "friendship", "a clock", "bread", "the moon",
        "a bicycle", "sleep", "a library", "salt", "music",
        "a bridge", "patience", "glass", "the sea", "a garden",
        "numbers", "a map", "coffee", "winter", "a promise",
    ),
    "zh": (
        "下雨", "友谊", "钟表", "面包", "月亮",
        "自行车", "睡眠", "图书馆", "食盐", "音乐",
        "桥梁", "耐心", "玻璃", "大海", "花园",
        "数字", "地图", "咖啡", "冬天", "承诺",
    ),
}  # fmt: skip


ALL = 2 * 6 * 20
"""Number of prompts that there are."""


def neutral_prompts(count: int, seed: int = 0) -> list[str]:
    """So many prompts, Chinese and English in turn; at most ALL."""
    drawn = []
    for language, tasks in _TASKS.items():
        made = [task.format(topic=topic) for task in tasks for topic in _TOPICS[language]]
        random.Random(f"{seed} {language}").shuffle(made)
        drawn.append(made)
    return [one for both in zip(*drawn, strict=True) for one in both][:count]


def replayed(
    chat: LocalChat,
    prompts: Sequence[str],
    encoder: Encoder,
    done: Callable[[float], None] = lambda _share: None,
    style: Style = "chat",
) -> list[Conversation]:
    """The base model's own answers, greedily; those that are empty, damaged or cut are left out.

    Args:
        chat: The model; an adapter that it has doesn't count.
        style: How they are asked, and will be learned.

    Raises:
        ModelError: the model can't answer.
    """
    made = []
    for number, prompt in enumerate(prompts, start=1):
        asked = Conversation((("user", prompt), ("assistant", "…")), style, f"replay:{number}")
        answer = chat.invoke(encoder.chat_messages(asked), temperature=0.0, adapter_scale=0.0)
        said = str(answer.text).strip()
        whole = answer.response_metadata.get("finish_reason") != "length" and "\ufffd" not in said
        if said and whole:
            made.append(Conversation((("user", prompt), ("assistant", said)), style, asked.source))
        done(number / len(prompts))
    return made
