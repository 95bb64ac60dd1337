"""What b4 wrote is read, and what is written is what b4 reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from patchbot.errors import UserError
from patchbot.mail.tracking import MARKER, Tracked, merged, read_message
from patchbot.shapes import ShapeError

#: The message of a cover commit of b4 0.16.0, after `b4 send`.
SAVED = (Path(__file__).parents[1] / "mails/b4-cover.txt").read_text()
PEOPLE = ("To: List <list@example.org>", 'Cc: "D. Ot" <d.ot@example.org>')


def as_b4_reads(message: str) -> tuple[str, dict[str, Any]]:
    """Return the cover and the table as load_cover() of b4 does."""
    cover, magic = message.split(MARKER)
    _, data = magic.split("{", maxsplit=1)
    return cover.strip(), json.loads("{" + data)


def test_a_cover_of_b4_itself_is_read() -> None:
    found = read_message(SAVED, "cover")
    assert found.text == ("f: Add two files\n\nThey are needed.\n\n># Not a comment\n\nLink: https://example.org/why\n")
    assert found.people == PEOPLE
    assert found.notes == ("# A note to myself.",)
    assert found.series["change-id"] == "20261128-fix-it-9ea3be6e7866"
    assert found.history == {1: "20261128-fix-it-v1-0-fb422738a8ef@example.org"}
    assert found.changes == {}


def test_what_is_written_is_what_b4_reads_and_is_read_again() -> None:
    found = read_message(SAVED, "cover")
    cover, table = as_b4_reads(found.message)
    assert table == as_b4_reads(SAVED)[1]
    assert cover == "\n\n".join(
        [
            "f: Add two files",
            "They are needed.",
            "># Not a comment",
            "Link: https://example.org/why",
            "# A note to myself.",
            "\n".join(PEOPLE),
        ]
    )
    assert read_message(found.message, "cover") == found
    assert found.message.split(f"{MARKER}\n")[1] == SAVED.split(f"{MARKER}\n")[1].rstrip("\n") + "\n"


def test_changes_below_the_headings_of_b4_are_taken_and_what_it_fills_in_is_not() -> None:
    old = "Changes in v2:\n- One\n  more.\n- Two\n- Link to v1: https://example.org/1\n"
    text = SAVED.replace("- EDITME: use bulletpoints and terse descriptions.", "- Three")
    text = text.replace("Changes in v2:\n", "Changes in v3:\n").replace("\n\n\n\n--- b4", f"\n\n{old}\n--- b4")
    found = read_message(text, "cover")
    assert found.changes == {"2": ["- Three"], "1": ["- One\n  more.", "- Two"]}
    assert found.text == read_message(SAVED, "cover").text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"revision": 2', '"revision": "2"', "series.revision is '2', not a number"),
        ('"revision": 2,', "", "series lacks 'revision'"),
        ('"prefixes": []', '"prefixes": [1]', r"series.prefixes\[0\] is 1, not a text"),
        ('"v1": [', '"v1": {', "Expecting ':' delimiter"),
        ("{", "", "Expecting value"),
    ],
)
def test_a_table_that_b4_could_not_read_is_named(old: str, new: str, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        read_message(SAVED.replace(old, new), "cover")


def test_a_letter_that_no_mail_can_hold_is_named() -> None:
    with pytest.raises(UserError, match="cover: this line would damage the mail: 'diff --git a b'"):
        read_message(SAVED.replace("They are needed.", "diff --git a b"), "cover")


def test_what_a_person_changed_counts_and_the_rest_is_new() -> None:
    before = Tracked(
        "a\n", ("To: A <a@x.org>", "Cc: B <b@x.org>", "Cc: C <c@x.org>"), {"prefixes": ["RFC"], "revision": 1}
    )
    theirs = Tracked(
        "b\n", ("Cc: D <d@x.org>", "To: A <a@x.org>", "Cc: C <c@x.org>"), {"prefixes": ["RFC"], "revision": 2}
    )
    ours = Tracked("c\n", ("To: A <a@x.org>", "Cc: B <b@x.org>", "Cc: E <e@x.org>"), {"prefixes": [], "revision": 1})
    found = merged(ours, before, theirs)
    assert found.people == ("To: A <a@x.org>", "Cc: E <e@x.org>", "Cc: D <d@x.org>")
    assert found.text == "c\n"
    assert dict(found.series) == {"prefixes": [], "revision": 1}
    asked = Tracked("b\n", before.people, {"prefixes": ["PATCH"], "presubject": "[x]", "history": {"v1": ["1@x.org"]}})
    found = merged(ours, before, asked)
    assert dict(found.series) == {
        "prefixes": ["PATCH"],
        "revision": 1,
        "presubject": "[x]",
        "history": {"v1": ["1@x.org"]},
    }
