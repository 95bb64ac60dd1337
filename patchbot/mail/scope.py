"""Tell for which patches of a series a tag is, if a person's words say so unambiguously."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .quoting import plain

NUMBER = r"#?\d{1,4}(?:/\d{1,4})?"
LIST = rf"{NUMBER}(?:-{NUMBER})?(?:,{NUMBER}(?:-{NUMBER})?)*"
NAMED = re.compile(
    rf"(?:(?:only|just) )?(?P<for>(?:for|on|to|of|in) )?(?:only )?(?:the )?(?P<patch>patch(?:es)? |nos?\.? |numbers? )?"
    rf"(?P<list>{LIST})(?: only| alone| (?:of|in) (?:this|the) (?:series|set|patchset))?"
)
WHOLE = re.compile(
    r"(?:for |on |to )?(?:(?:the |this )?(?:whole |entire |full |complete )?(?:patch ?)?(?:series|set)"
    r"|(?:the |this )?(?:whole |entire |full )(?:thing|lot|thread)"
    r"|all(?: of)?(?: the| these| your)?(?: (?P<count>\d{1,4}))? patches"
    r"|all(?: (?P<number>\d{1,4}))?(?: of them)?|every patch|each patch|(?P<both>both)(?: patches| of them)?)"
)
ONE = re.compile(r"(?:(?:only|just) )?(?:for |on |to )?(?:this|this one|this patch|this patch only|only this patch)")
UNCLEAR = re.compile(
    r"\bpatch(?:e?s)?\s*(?:#|n[or]s?\.?\s|numbers?\s)?\s*(?:\d|(?:one|two|three|four|five|six|seven|eight|nine|ten)\b)"
    r"|^\W{0,3}\d{1,3}(?:\s?(?:-|,|&|\band\b|\bto\b)\s?\d{1,3}){1,20}\b|\b(?:exclud|skipp)ing\b"
    r"|(?:\bnot|\bnever|n't)(?: [a-z]{1,12}){0,2} (?:look|review|read|test|check|familiar|qualified|understand)"
    r"|\b(?!the\b|your\b|these\b|this\b|all\b|those\b|both\b|latest|new|current|updated|recent|whole|overall)[\w/.-]{2,40}"
    r" (?:changes?|code|conversions?|updates?|work)\s(?:look|seem|is|are)s?\b"
    r"|\b[\w.-]{1,40}/[\w/.-]{1,80} (?:look|seem|is|are)s?\b"
    r"|(?<![\w/.-])\d{1,4}/\d{1,4}(?![\w/.])|(?<!\w)#\d"
    r"|\b(?:first|second|third|fourth|fifth|last|latter|former|other|two|three|remaining|rest|previous|next|most|some|few"
    r"|four|half"
    r"|\d+(?:st|nd|rd|th))\b[^.]{0,30}\b(?:patch|patches|ones?|series|set)\b|\bthe (?:rest|others?)\b"
    r"|\bonly\b|\bexcept\b|\b(?:all|everything|series|set) (?:but|besides|other than|without)\b"
    r"|\b(?:parts?|bits|portions?|half|pieces?|side)\b"
    r"|\b(?:the|these|those)\s+(?!patch|whole|entire|complete|full|latest|new|current|updated|above|following)[\w/.-]+"
    r"\s+(?:[\w/.-]+\s+)?patch(?:es)?\b",
    re.I,
)
#: Words that limit even a remark in a commit message to part of the patch.
PARTS = re.compile(r"\b(?:for|only|just|except|but|not|parts?|bits?|portions?|side|hunks?|files?|v\d+)\b|/", re.I)


@dataclass(frozen=True)
class Scope:
    """For which of the answered patches a tag is: all, these numbers, or something that only a person can judge.

    `words` is a remark after the tag, `unclear` a line that may limit it, `lead` one that says what it is for.
    """

    numbers: frozenset[int] = frozenset()
    total: int = 0
    whole: bool = False
    one: bool = False
    words: str = ""
    unclear: str = ""
    lead: str = ""

    @property
    def given(self) -> bool:
        """Say whether the mail has a scope that can be read."""
        return bool(self.numbers) or self.whole or self.one


def read_scope(text: str, prose: bool = False) -> Scope | None:
    """Return the scope in `text`, None if it says anything else; `prose` means that it is a separate text."""
    folded = " ".join(plain(text).lower().split()).strip(" .:;,*_()[]")
    folded = re.sub(r"^(?:and|but) ", "", folded)
    if ONE.fullmatch(folded):
        return Scope(one=True)
    if match := WHOLE.fullmatch(folded):
        return Scope(whole=True, total=2 if match["both"] else int(match["count"] or match["number"] or 0))
    short = re.sub(r" ?(?:-|\.{2,3}|…|\b(?:to|through|thru|till|until)\b) ?", "-", folded)
    short = re.sub(r"^-", "to ", short)
    short = re.sub(r" ?(?:,|&|\+|\band\b|\bplus\b|\bas well as\b) ?", ",", short)
    short = re.sub(r",{2,}", ",", short)
    short = re.sub(r"(?:(?<=[,-])|(?<=#))(?:for |on )?(?:patch(?:es)? |#)", "", short)
    short = re.sub(r"\bpatch(?:es)?#", "patch #", short)
    match = NAMED.fullmatch(short)
    if match is None or (
        prose and not (match["for"] or match["patch"] or "/" in match["list"] or "#" in match["list"])
    ):
        return None
    return read_list(match["list"].replace("#", ""))


def read_list(text: str) -> Scope | None:
    """Return the scope of a list like 1-3,7/12, None if it cannot be one."""
    numbers: set[int] = set()
    totals: set[int] = set()
    for item in text.split(","):
        ends = []
        for number in item.split("-"):
            first, _, total = number.partition("/")
            ends.append(int(first))
            totals |= {int(total)} if total else set()
        if ends[0] > ends[-1] or ends[0] < 1:
            return None
        numbers |= set(range(ends[0], ends[-1] + 1))
    if len(totals) > 1:
        return None
    return Scope(frozenset(numbers), totals.pop() if totals else 0)


def unclear_scope(text: str) -> str:
    """Return the line that may say that not all patches are meant, "" if there is none."""
    return next((line for line in text.split("\n") if UNCLEAR.search(plain(line))), "")


def doubtful_scope(scope: Scope, total: int, cover: bool) -> str:
    """Return why a tag may not be for all that its mail answers, where only a person can tell; "" if it is."""
    if cover:
        doubt = "" if scope.one or scope.numbers else scope.words or scope.unclear or scope.lead
        return f"it may be for only some of the patches: {doubt[:80]}" if doubt else ""
    if len(scope.numbers) > 1 or (scope.whole and total > 1):
        return ""
    doubt = scope.lead or (scope.words if PARTS.search(scope.words) else "")
    return f"it may be for only a part of the patch: {doubt[:80]}" if doubt else ""


def pick(scope: Scope, number: int | None, total: int, cover: bool) -> tuple[frozenset[int] | None, str]:
    """Return which of the answered patches are meant (None for all), and why it is not taken for some.

    `number` is the patch that the mail answers, of `total`; a cover stands for all of them.
    """
    if scope.total and total and scope.total != total:
        return frozenset(), f"it is for {scope.total} patches, but the series has {total}"
    if cover:
        if scope.one:
            return frozenset(), "it is for one patch, but answers the cover"
        if scope.numbers:
            gone = sorted(n for n in scope.numbers if n > total)
            if gone:
                return frozenset(), f"the series has no patch {', '.join(map(str, gone[:5]))}"
            return scope.numbers, ""
        return None, ""
    if scope.numbers and number is None:
        return frozenset(), "it names patches by number, but the answered mail has none"
    if scope.numbers and number not in scope.numbers:
        return frozenset(), f"it is for {patch_numbers(scope.numbers)}, but answers patch {number}"
    if len(scope.numbers) > 1 or (scope.whole and total > 1):
        which = patch_numbers(scope.numbers) if scope.numbers else "the whole series"
        return None, f"it is for {which}, but answers patch {number}: taken for that one alone"
    return None, ""


def patch_numbers(numbers: frozenset[int]) -> str:
    """Return numbers of patches in words."""
    rows = sorted(numbers)
    text = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
    return f"patch {text}" if len(rows) == 1 else f"patches {text}"
