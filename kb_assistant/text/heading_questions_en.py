"""How one asks in English about a section with a heading."""

from __future__ import annotations

import re

LONGEST_TOPIC = 48

_SMALL_WORDS = frozenset(
    "a an the its their our your my how what where when who why which if before after during in on at for "
    "from to with without by under about all any some no not and or more other first next last new".split()
)
_ARTICLES = ("the ", "a ", "an ", "our ", "my ", "your ", "its ", "their ")
_PREPOSITIONS = re.compile(r"\s(?:of|for|to|at|from|in|on|about|with|by|under)\s")

_DOCUMENTS = frozenset(
    "act agreement agreements article bill brochure bylaws catalogue charter circular code conditions "
    "constitution contract documentation documents faq guide guidelines handbook history information "
    "instructions law leaflet letter list manual memo minutes newsletter note notes notice policies policy "
    "protocol questions regulation regulations report reports rules rule specification standard standards "
    "statement statutes summary terms tutorial".split()
)
"""What a title calls a document that says something about other things."""

_PLACES = frozenset(
    "academy airport archive association bakery bank café cafe camp centre center church clinic club college "
    "company cooperative department farm foundation garden gallery gym hall harbour hospital hostel hotel "
    "house institute laboratory library museum observatory office park pool practice restaurant school shop "
    "society station store studio theatre university workshop zoo".split()
)
"""What one is at."""

_OVERVIEWS = frozenset(
    "about,about us,abstract,at a glance,background,basics,executive summary,facts,general,general information,"
    "introduction,intro,overview,preface,summary,the basics,the most important facts,what it is,what is it,"
    "who we are,what we do,in brief,key facts,purpose,foreword".split(",")
)
_EMPTY = frozenset(
    "acknowledgements acknowledgments annex appendices appendix bibliography changelog content contents "
    "credits end footnotes further index links miscellaneous misc note notes other others references sources "
    "todo untitled".split()
) | {"table of contents", "see also", "further reading", "change log", "related links", "read more"}

_FACTS = frozenset(
    "dates deadlines fees hours prices rates charges costs requirements prerequisites rules conditions "
    "dimensions measurements limits limitations advantages disadvantages benefits risks goals aims options "
    "features".split()
)
"""Plural nouns that one asks for by "What are …"."""
_PEOPLE = frozenset(
    "authors contacts directors doctors employees founders managers members owners participants partners "
    "speakers staff teachers trainers trustees".split()
)
_REACHED = frozenset("contact,contacts,contact us,contact details,how to reach us,how to contact us".split(","))
_WAYS = frozenset(
    "directions,getting here,getting there,how to find us,how to get here,how to get there".split(",")
)

_VERBS = frozenset(
    "access activate add apply book borrow build buy calculate cancel change check choose claim clean close "
    "collect compile configure connect convert copy create delete deploy develop disable download drop edit "
    "enable export extend find fix format generate get import improve insert install join load log make "
    "manage migrate modify monitor open order pay prepare publish query read register remove renew rename "
    "repair replace request reserve reset restart restore return run save search secure select send set share "
    "sign specify start stop store submit test train transfer uninstall update upgrade upload use verify view "
    "write".split()
)
_AFTER_VERB = re.compile(r"(?:an?|the|your|our|my|this|to|from|with|into|up|new|all|data)\s", re.IGNORECASE)

_ASKING = frozenset("what which who where when why how whether that".split())
_CIRCUMSTANCES = frozenset("if before after during in on at while until within without by under near".split())
_OWN = {"your": "my", "you": "I", "yours": "mine", "yourself": "myself"}
_MODALS = r"(?:is|are|was|were|will|can|must|may|should|does|do|has|have|counts?|happens?|applies|costs?|belongs?)"


def question(heading: str, topic: str, text: str) -> str:
    """
    Args:
        heading: Without number and brackets.
        topic: What the document is about, or what it is; "" if the heading says so itself.
        text: Some of the document.
    """
    said, plain = _within_a_sentence(heading, text), heading.casefold()
    if plain in _EMPTY:
        return ""
    if not topic:
        return "" if plain in _OVERVIEWS else _whole(heading, said, text)
    about = _Topic(topic, text)
    if plain in _OVERVIEWS:
        return about.overview()
    if not about.is_document and plain in _REACHED | _WAYS:
        return f"How can I contact {about.named}?" if plain in _REACHED else f"How do I get to {about.named}?"
    if asked := _clause(said):
        return about.ask(asked)
    if (head := _head(said)) in _FACTS | _PEOPLE:
        start = "What are" if head in _FACTS else "Who is" if head == "staff" else "Who are"
        return about.ask(f"{start} {_the(said)}?", f"{about.of} {about.named}")
    if about.is_document:
        return about.says(_with_article(said, text))
    return f"What should I know about {about.joined(said, text)}?"


def _whole(heading: str, said: str, text: str) -> str:
    """About a heading that names what the document is, or what it is about."""
    if asked := _clause(said):
        return asked
    whole = _Topic(heading, text)
    return whole.overview() if whole.is_document else f"What should I know about {whole.named}?"


def _clause(said: str) -> str:
    """A question from a heading that isn't the name of a thing, written as within a sentence; "" for others."""
    first, _, rest = said.partition(" ")
    if found := re.match(r"how to (.+)", said):
        return f"How do I {_asker(found[1])}?"
    if found := re.match(r"(what|where|when|who|which \w+) to (.+)", said):
        return f"{found[1].capitalize()} should I {_asker(found[2])}?"
    if re.match(rf"(?:what|who|which \w+) {_MODALS}(?: not)? \w+", said):
        return f"{said[0].upper()}{_asker(said)[1:]}?"
    if first in _ASKING and rest:
        return f"Can you tell me {_asker(said)}?"
    if first == "for" and rest:
        return f"What is there {_asker(said)}?"
    if first in _CIRCUMSTANCES and rest:
        return f"What should I keep in mind {_asker(said)}?"
    if first.lower() in _VERBS and _AFTER_VERB.match(rest):
        return f"How do I {first.lower()} {_asker(rest)}?"
    return ""


def _asker(said: str) -> str:
    """As the one who asks says it: "your child" is "my child"."""
    return re.sub(r"\b(?:yourself|yours|your|you)\b", lambda one: _OWN[one[0]], said)


class _Topic:
    """What a document is about, or what it is.

    Attributes:
        named: As it is written within a sentence.
        of: The preposition between a part of it and itself.
    """

    def __init__(self, title: str, text: str) -> None:
        before = _PREPOSITIONS.split(title, maxsplit=1)[0]
        self._head = _head(before)
        self.is_document = self._head in _DOCUMENTS
        short = re.split(r",\s", title if len(title) <= LONGEST_TOPIC else before)[0]
        self._words = len(short.split())
        ordinary = self.is_document or short.rpartition(" ")[2][:1].islower() or _is_ordinary(short)
        if short.lower().startswith(_ARTICLES):
            self.named = f"{short[0].lower()}{short[1:]}"
        elif self.is_document and " " not in before:  # "History of …"
            self.named = f"the {before if before.isupper() else before.lower()}{short[len(before) :]}"
        else:
            self.named = f"the {_small(short, text)}" if ordinary and self._words > 1 else short
        self._is_place = not _PLACES.isdisjoint(before.lower().split())
        self.of = "at" if self._is_place else "of"

    @property
    def _does(self) -> str:
        return "do" if self._head.endswith("s") else "does"

    def overview(self) -> str:
        if self.is_document:
            return f"What {self._does} {self.named} say?"
        return f"What is {self.named}?" if self._words <= 5 else f"What should I know about {self.named}?"

    def says(self, said: str) -> str:
        return f"What {self._does} {self.named} say about {said}?"

    def ask(self, asked: str, end: str = "") -> str:
        """A question about it, which need not name it; with this end unless it is a document."""
        if self.is_document:
            return f"According to {self.named}, {asked[0].lower()}{asked[1:]}"
        if not end and self._is_place:
            end = f"at {self.named}"
        if not end and asked.startswith(("How do I ", "What should I ")) and " keep in mind " not in asked:
            end = f"for {self.named}"
        return f"{asked[:-1]} {end}?" if end else asked

    def joined(self, said: str, text: str) -> str:
        """Something, and whose it is."""
        if self._is_place:
            return f"{_with_article(said, text)} at {self.named}"
        if said.startswith(_ARTICLES):
            return f"{said} of {self.named}"
        if said.partition(" ")[0].endswith("ing"):
            return f"{said} with {self.named}"
        if self._words > 4:
            return f"{_with_article(said, text)} for {self.named}"
        return f"{self.named}' {said}" if self.named.endswith("s") else f"{self.named}'s {said}"


def _head(words: str) -> str:
    """The noun of a phrase: the last word before a preposition."""
    before = _PREPOSITIONS.split(words, maxsplit=1)[0]
    return re.sub(r"[^\w-]", "", before.rpartition(" ")[2]).lower()


def _the(said: str) -> str:
    return said if said.startswith(_ARTICLES) else f"the {said}"


def _is_ordinary(title: str) -> bool:
    """Whether a title is no name: a word after its first is small, besides prepositions and articles."""
    return any(word[:1].islower() and word not in _SMALL_WORDS | {"of"} for word in title.split()[1:])


def _small(words: str, text: str) -> str:
    """With a small first letter, unless the first word is written as only names and codes are."""
    first = words.split(" ", 1)[0]
    if not re.fullmatch(r"[A-Z][a-z]+(?:['’]s|s['’])?", first) or _is_name(first, text):
        return words
    is_name = not _is_ordinary(words) and any(word[:1].isupper() for word in words.split()[1:])
    return words if is_name else f"{words[0].lower()}{words[1:]}"


def _within_a_sentence(heading: str, text: str) -> str:
    """A heading as it is written within a sentence: its first word is small unless it is a name."""
    first, _, rest = heading.partition(" ")
    if not re.fullmatch(r"[A-Z][a-z]*(?:['’]s|s['’])?", first) or first == "I":
        return heading
    others = [word for word in rest.split() if word.lower() not in _SMALL_WORDS and word[:1].isalpha()]
    small = first.lower() in _SMALL_WORDS or (others and others[0][:1].islower())
    is_name = not small and (others or _is_name(first, text))
    return heading if is_name else f"{first.lower()}{heading[len(first) :]}"


def _is_name(word: str, text: str) -> bool:
    """Whether a text writes a word with a capital letter alone, also within sentences."""
    small = re.search(rf"\b{re.escape(word.lower().removesuffix('s'))}", text)
    return not small and bool(re.search(rf"(?<=[a-z,;] ){re.escape(word)}\b", text))


def _with_article(said: str, text: str) -> str:
    """With the article that the text gives it, if any."""
    if said.startswith(_ARTICLES) or said.endswith("ing"):
        return said
    found = re.search(rf"\b(an?|the|your|our) {re.escape(said)}\b", text, re.IGNORECASE)
    return f"{found[1].lower() if found[1].lower() in ('a', 'an') else 'the'} {said}" if found else said
