"""Whatever a message quotes, it is one line of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.errors import DicomnodeError, InputError, Reason, printable
from parts.hostile import WORDS


@given(text=st.text(st.characters(exclude_categories=())))
def test_what_is_printable_stays_and_all_else_is_shown(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_reasons_and_errors_quote_a_sender_without_obeying(word: str) -> None:
    assert Reason("x", f"found {word}").text.isprintable()
    assert InputError("x", f"found {word}").reason.text.isprintable()
    assert str(DicomnodeError(f"found {word}")).replace("\n", "").isprintable()


def test_an_error_may_have_lines_of_its_own() -> None:
    assert str(DicomnodeError("two things:\n  one\n  other")).count("\n") == 2
