"""The sentences that a tag stands in, and what else of a mail says that it is not given, or not for all patches."""

from __future__ import annotations

import pytest
from test_said import RAE, TAG, mail, patches, read

SOME = [
    "For both patches:",
    "1-2 are fine:",
    "Patch one and two:",
    "Patches three and four are beyond me.",
    "Excluding the verifier change:",
    "arch/x86 looks ok.",
    "The btf changes look fine to me.",
    "Documentation changes look good to me.",
    "DT bindings:",
    "selftests:",
    "I'm not familiar with the verifier, so I did not review it.",
    "I have not looked at the selftests.",
    "I haven't reviewed patch four.",
    "The first and the third:",
    "Pour les patchs 1 et 2 :",
    "Patch Nr. 3:",
    "第1个补丁：",
]


@pytest.mark.parametrize("words", SOME)
def test_a_tag_for_some_patches_in_other_words_is_for_a_person(words):
    found = read(mail(f"{words}\n\n{TAG}"))
    assert found.attached == ()
    assert [row.line for row in found.ignored] == [TAG]


@pytest.mark.parametrize("words", ["for the first two", "^^ for the first two", "PS: this goes for patches 1 and 2."])
def test_what_stands_far_below_a_tag_limits_it_too(words):
    assert read(mail(f"{TAG}\n\n{words}")).attached == ()
    assert read(mail(f"{TAG}\n\nThanks!\n\nPS: this goes for patches 1 and 2.")).attached == ()


NOT = [
    ("With a s/foo/bar/ in line 3:", ""),
    ("With the function made static:", ""),
    ("After you make it static:", ""),
    ("After the comments below are taken care of:", ""),
    ("As soon as that is fixed, you can have my:", ""),
    ("w/ the comment fixed:", ""),
    ("So long as the test passes:", ""),
    ("Contingent on CI passing:", ""),
    ("Barring the naming issue:", ""),
    ("Should you fix the above, you can have my", ""),
    ("Fix that and you can add:", ""),
    ("Please drop the extra blank line, then", ""),
    ("s/foo/bar/ and", ""),
    ("This should be GFP_ATOMIC.\n\nOtherwise,", ""),
    ("Otherwise looks good.", ""),
    ("I'm going to have to pull my tag.", ""),
    ("Pulling my review:", ""),
    ("Please strike my", ""),
    ("Please remove:", ""),
    ("Please drop the following:", ""),
    ("Kindly delete this line:", ""),
    ("I never gave this:", ""),
    ("I don't remember giving this:", ""),
    ("Where does this come from? I didn't review this!", ""),
    ("You added", "without me ever having replied."),
    ("Why did you drop my", "?"),
    ("This is not ready, so no", "from me yet."),
    ("I can't give my", "to this."),
    ("I would have given", "but the locking is wrong."),
    ("I was about to send", "but then saw that it leaks."),
    ("Not yet:", ""),
    ("For the record, for v1 you had my", "but v2 is broken."),
    ("In v1 I gave you my", "That does not apply to this version."),
    ("The commit in stable says", "which is wrong."),
    ("Example of a tag:", ""),
    ("The format of the tags should be e.g.", "and not what you had."),
    ("Please don't merge this.", ""),
    ("Don't apply this yet.", ""),
    ("I'm going to NAK it.", ""),
    ("Consider it NAKed.", ""),
    ("_NAK_", ""),
    ("commit 0123456789abcdef0123456789abcdef01234567 upstream.", ""),
    ("Author: Pat Author <pat@example.org>\nDate:   Mon Jan 5\n\n    bpf: x", ""),
]


@pytest.mark.parametrize(("above", "below"), NOT)
def test_a_tag_in_a_sentence_that_does_not_give_it_is_not_taken(above, below):
    found = read(mail(f"{above}\n\n{TAG}\n\n{below}", 1))
    assert found.attached == ()
    assert TAG in [row.line for row in found.ignored]


GIVEN = [
    "Thanks for fixing the nit in v1.",
    "With this applied, the splat is gone.",
    "After applying this patch the tests pass.",
    "This fixes the issue for me when running the test suite.",
    "You fixed all my comments, so",
    "Only the first hunk was tricky, but I checked it.",
    "Please ignore my review comments on v1, I misread it.",
    "I said in v1 that I don't like the name. It was changed, thanks.",
    "Hi Pat,",
    "LGTM,",
    "FWIW,",
    "Looks good to me, thanks!",
    "No objections from my side:",
    "You can keep my tag in the next version:",
    "Please feel free to include my",
    "With that,",
    "So here is my",
    "As I said once again:",
    "Tested on qemu, with KASAN:",
    "syzbot has tested the patch and the reproducer did not trigger any issue:",
    "I have not tested this.",
    "Sorry for the late reply.",
    "The code is right, and the message explains why.",
    "Please take this through net-next.",
    "A follow-up could convert the rest.",
    "+Cc linux-mm",
]


@pytest.mark.parametrize("words", GIVEN)
def test_a_tag_that_is_given_in_other_words_is_taken(words):
    found = read(mail(f"{words}\n\n{TAG}\n\nThanks,\nRae", 1))
    assert patches(found) == "1"
    assert found.ignored == ()


@pytest.mark.parametrize(
    "words",
    [
        "The series looks good to me:",
        "I went through the whole series and have no comments.",
        "This is really nice. I ran all 4 patches through our CI.",
        "Thanks for the update, the new code looks good.",
        "The changes look good.",
    ],
)
def test_a_tag_for_a_series_is_taken(words):
    assert patches(read(mail(f"{words}\n\nTested-by: {RAE}"))) == "1234"


@pytest.mark.parametrize(
    ("words", "against"),
    [
        ("This is a NAK from me.", True),
        ("I'm NAKing this series.", True),
        ("It is nacked.", True),
        ("Please consider it as NACKed.", True),
        ("So no, big fat NAK.", True),
        (f"Nacked-by: {RAE}", True),
        ("N.A.K. from me.", True),
        ("-1", True),
        ("Sorry, -1.", True),
        ("Absolutely not.", True),
        ("Hard pass.", True),
        ("Big fat NO", True),
        ("That is a clear no from me.", True),
        ("This breaks user space, I am not going to take it.", True),
        ("I won't apply this series as it is.", True),
        ("I don\u2019t want this in my tree", True),
        ("We really don't want to see such code upstream.", True),
        ("Please drop this patch.", True),
        ("This cannot go in.", True),
        ("The wrong direction. Please do not merge this.", True),
        ("I do not want to hold this up.", False),
        ("I will not apply this to stable, it is too new.", False),
        ("This should not be applied before patch 2 is in.", False),
        ("We can't merge this function with the other one.", False),
        ("The array ends with -1", False),
        ("return -1;", False),
        ("There is no way to know.", False),
        ("> Please drop this patch.\n\nWhy?", False),
        ("Please drop the blank line.", False),
        ("Please do not take this the wrong way.", False),
        ("> NAK\n> Nacked-by: Else Where <else@example.com>\n\nI see no problem.", False),
        ("This isn't a NAK, just a question.", False),
        ("I withdraw my NAK.", False),
        ("The byte is nacked by the device here.", False),
    ],
)
def test_a_nak_in_any_form_is_against_the_patch_and_quoted_text_is_not(words, against):
    found = read(mail(words, 1, "r2"))
    assert any(row.objection for row in found.ignored) == against


def test_an_old_nak_of_ones_own_that_is_quoted_without_marks_is_none():
    quoted = f"-----Original Message-----\nFrom: {RAE}\n\nNAK\n\nNacked-by: {RAE}"
    found = read(mail(f"Fine now.\n\n{TAG}\n\n{quoted}", 1))
    assert patches(found) == "1"
    assert [(row.line, row.objection) for row in found.ignored] == [(f"Nacked-by: {RAE}", False)]
