"""Words broken at line ends: hyphens that the break made go, a word's own stay."""

from __future__ import annotations

import time

import pytest

from ingest.readers.hyphens import mend_breaks, words_of

_ENGLISH = words_of(["The labs of the town use JavaScript in a well-kept fashion, to be clear."])
_GERMAN = words_of(["Der Hund und die Katze sind nicht das, was ein Haus den Leuten ist."])


class TestEnglish:
    @pytest.mark.parametrize(
        ("broken", "whole"),
        [
            ("state-of-the\ufffeart", "state-of-the-art"),
            ("state-of\ufffethe-art", "state-of-the-art"),
            ("mother-in\ufffelaw", "mother-in-law"),
            ("high\ufffespeed line", "high-speed line"),
            ("decision\ufffemaking", "decision-making"),
            ("forty\ufffetwo", "forty-two"),
            ("Anglo\ufffeSaxon", "Anglo-Saxon"),
            ("X\uffferay", "X-ray"),
            ("long-\nterm", "long-term"),
        ],
    )
    def test_a_words_own_hyphen_stays(self, broken: str, whole: str) -> None:
        assert mend_breaks(broken, _ENGLISH) == whole

    @pytest.mark.parametrize(
        ("broken", "whole"),
        [
            ("labora\ufffetory", "laboratory"),
            ("low-tempera\ufffeture", "low-temperature"),
            ("co\ufffeordinator", "coordinator"),
            ("ENVIRON\ufffeMENT", "ENVIRONMENT"),
            ("run\x02ning", "running"),
            ("Java\ufffeScript", "JavaScript"),
            ("co\xadop\xad\nerate", "cooperate"),
        ],
    )
    def test_a_hyphen_made_by_the_break_goes(self, broken: str, whole: str) -> None:
        assert mend_breaks(broken, _ENGLISH) == whole

    def test_a_hyphen_before_a_conjunction_keeps_its_space(self) -> None:
        assert mend_breaks("pre\ufffeand postwar", _ENGLISH) == "pre- and postwar"
        assert mend_breaks("an err\ufffeand boy", _ENGLISH) == "an errand boy"

    def test_the_documents_own_words_decide_first(self) -> None:
        with_hyphen = words_of(["a data-base", "the other"])
        without = words_of(["a database", "the other"])
        assert mend_breaks("data\ufffebase", with_hyphen) == "data-base"
        assert mend_breaks("data\ufffebase", without) == "database"

    def test_a_broken_word_is_no_evidence(self) -> None:
        words = words_of(["zor\ufffekel and zork-\nel"])
        assert not words.words & {"zor", "kel", "zork"}


class TestNumbers:
    @pytest.mark.parametrize(
        ("broken", "whole"),
        [
            ("AB-12-\n34", "AB-12-34"),
            ("XK\ufffe9200", "XK-9200"),
            ("COVID\ufffe19", "COVID-19"),
            ("2019-\n2021", "2019-2021"),
            ("pp. 222–\n228.", "pp. 222–228."),
            ("1,200-\n1,500 kg", "1,200-1,500 kg"),
        ],
    )
    def test_hyphens_at_digits_stay(self, broken: str, whole: str) -> None:
        assert mend_breaks(broken, _ENGLISH) == whole

    @pytest.mark.parametrize("text", ["a dash -\nand more", "---\nTotal", "Grade A-\nBob", "- one\n- two"])
    def test_what_isnt_a_broken_word_stays(self, text: str) -> None:
        assert mend_breaks(text, _ENGLISH) == text


class TestGerman:
    @pytest.mark.parametrize(
        ("broken", "whole"),
        [
            ("Wasser\ufffepumpe", "Wasserpumpe"),
            ("Sicher\ufffeheit", "Sicherheit"),
            ("Kraftfahrzeug-Haftpflicht\ufffeversicherung", "Kraftfahrzeug-Haftpflichtversicherung"),
            ("Nord-Süd\ufffeVerbindung", "Nord-Süd-Verbindung"),
            ("E\ufffeMail", "E-Mail"),
            ("deutsch\ufffefranzösisch", "deutsch-französisch"),
            ("Vor\ufffeund Nachteile", "Vor- und Nachteile"),
        ],
    )
    def test_compounds(self, broken: str, whole: str) -> None:
        assert _GERMAN.language == "de"
        assert mend_breaks(broken, _GERMAN) == whole


@pytest.mark.parametrize(("run", "end"), [("a", ""), ("a-", ""), ("a.", "\ufffeb"), ("1\ufffe", "")])
def test_long_runs_take_linear_time(run: str, end: str) -> None:
    def seconds(count: int) -> float:
        text = run * count + end
        start = time.process_time()
        words_of([text])
        mend_breaks(text, _ENGLISH)
        return time.process_time() - start

    seconds(10)
    # Quadratic time would be 25 times as much; beside other load a single try may be off.
    assert any(seconds(150_000) < 15 * max(seconds(30_000), 0.02) for _ in range(3))
