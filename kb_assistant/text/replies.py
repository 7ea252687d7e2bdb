"""The fixed sentences of a conversation beside its answers: courtesies, questions back, what the documents are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from kb_assistant.text.dialogue_acts import Kind
from kb_assistant.text.language import Language, is_traditional


@dataclass(frozen=True, slots=True)
class Replies:
    """The sentences of one language.

    Attributes:
        greeting, thanks, farewell, assent: Replies to courtesies.
        unclear: Asks back what a turn without its subject is about.
        nothing_before: The reply to a wish about an answer when none was given.
        no_more: The reply to a wish for more if all was said.
        needs_model: The reply to a wish about form if the answers are quotes.
        count, newest, documents, further, examples, none: The parts of what is told about the knowledge base.
        which: Asks which of several documents is meant.
    """

    greeting: str
    thanks: str
    farewell: str
    assent: str
    unclear: str
    nothing_before: str
    no_more: str
    needs_model: str
    count: str
    one: str
    none: str
    newest: str
    documents: str
    further: str
    examples: str
    which: str

    def courtesy(self, kind: Kind) -> str:
        """The reply to a courtesy."""
        return {"greeting": self.greeting, "thanks": self.thanks, "farewell": self.farewell}.get(kind, self.assent)


ENGLISH = Replies(
    greeting="Hello! What would you like to know from the documents?",
    thanks="You're welcome.",
    farewell="Goodbye!",
    assent="All right. Is there anything else you would like to know?",
    unclear="I don't know what you are asking about. Please name it in full.",
    nothing_before="There is no answer to go on from yet. What would you like to know?",
    no_more="The documents say no more about this that I can find.",
    needs_model=(
        "Answers are quoted from the documents word for word: their form, length and language can't be changed. "
        "A chat model can do that."
    ),
    count="This knowledge base holds {count} documents.",
    one="This knowledge base holds one document.",
    none="This knowledge base holds no documents yet.",
    newest="Read last:",
    documents="Documents:",
    further="… and {count} more",
    examples="You may ask, for example:",
    which="Which document do you mean?",
)
CHINESE = Replies(
    greeting="你好！想从文档中了解什么？",
    thanks="不客气。",
    farewell="再见！",
    assent="好的。还想了解什么？",
    unclear="不清楚您问的是什么，请说出它的完整名称。",
    nothing_before="前面还没有回答。想了解什么？",
    no_more="文档中没有找到更多相关内容。",
    needs_model="回答是逐字摘自文档的原文，不能改变形式、长短或语言。使用聊天模型才可以。",
    count="知识库里有{count}份文档。",
    one="知识库里有1份文档。",
    none="知识库里还没有文档。",
    newest="最近读入的：",
    documents="文档：",
    further="……还有{count}份",
    examples="可以这样问：",
    which="您指的是哪份文档？",
)
TRADITIONAL = Replies(
    greeting="你好！想從文件中了解什麼？",
    thanks="不客氣。",
    farewell="再見！",
    assent="好的。還想了解什麼？",
    unclear="不清楚您問的是什麼，請說出它的完整名稱。",
    nothing_before="前面還沒有回答。想了解什麼？",
    no_more="文件中沒有找到更多相關內容。",
    needs_model="回答是逐字摘自文件的原文，不能改變形式、長短或語言。使用聊天模型才可以。",
    count="知識庫裡有{count}份文件。",
    one="知識庫裡有1份文件。",
    none="知識庫裡還沒有文件。",
    newest="最近讀入的：",
    documents="文件：",
    further="……還有{count}份",
    examples="可以這樣問：",
    which="您指的是哪份文件？",
)

_REPLIES: Mapping[Language, Replies] = {"zh": CHINESE, "en": ENGLISH}
_EVERY = (ENGLISH, CHINESE, TRADITIONAL)
_WHOLE = (
    "greeting",
    "thanks",
    "farewell",
    "assent",
    "unclear",
    "nothing_before",
    "no_more",
    "needs_model",
    "none",
)
_FIXED = tuple(getattr(one, field.name) for one in _EVERY for field in fields(one) if field.name in _WHOLE)


def replies(language: Language, question: str = "") -> Replies:
    """The sentences in a language, in the question's kind of Chinese characters; in English if there are none."""
    if language == "zh" and is_traditional(question):
        return TRADITIONAL
    return _REPLIES.get(language, ENGLISH)


def is_reply(answer: str) -> bool:
    """Whether an answer is one of these sentences, or asks which document is meant: it says nothing from one."""
    return answer.strip() in _FIXED or asks_which(answer)


def asks_which(answer: str) -> bool:
    """Whether an answer asks which of the documents that it lists is meant."""
    return answer.startswith(tuple(one.which for one in _EVERY))
