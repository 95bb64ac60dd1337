"""Make the step docs: describe argument flags in the kfunc documentation.

The sections of that file are numbered by hand and differ between kernels, so a new one is placed by the title of
its chapter and takes the next number there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ....c import Source, Span
from ....series.campaign import Context
from ....series.codemod import Anchor, Scope, Text, insert_after, whole
from ..sites.classify import rcu_checks_null
from .facts import KFUNCS_RST, VERIFIER_C, fragment, implicit_arguments, told_release

#: A title with the number that this file gives it, and the line below it.
TITLE = re.compile(rb"^(?P<number>\d{1,4}(?:\.\d{1,4})*)\.? +(?P<title>\S.*)\n(?P<line>[=~^-]{4,})\n", re.MULTILINE)
#: Labels that belong to the title below them.
LABELS = re.compile(rb"(?:^\.\. _[^\n]+:\n\n?)++", re.MULTILINE)
LABEL = b".. _BPF_kfunc_arg_flags:"
#: A list item and the indented lines that continue it.
RCU_ITEM = re.compile(rb"^\* ``KFA_RCU``:.*\n(?:  .*\n)*", re.MULTILINE)

FLAGS_CHAPTER = "Annotating kfuncs"
SUFFIXES_CHAPTER = "Annotating kfunc parameters"


@dataclass(frozen=True)
class Section:
    """A numbered section of the document: where its title begins and where its text ends."""

    number: tuple[int, ...]
    title: str
    span: Span


def anchors(context: Context) -> list[Anchor]:
    """Return the anchors of the step docs."""
    release, unknown = told_release(context.tree)
    return [
        *unknown,
        new_section(
            FLAGS_CHAPTER,
            "Flags of the arguments",
            "docs-flags.rst.j2",
            LABEL,
            release=release,
            implicit=implicit_arguments(context.tree),
            null=rcu_checks_null(context.base.get(VERIFIER_C) or b""),
        ),
    ]


def new_section(chapter: str, title: str, template: str, done: bytes, **words: object) -> Anchor:
    """Return the anchor of a new last section of a chapter; its text holds `done`."""

    def text(source: Source, span: Span) -> bytes:
        owner = next(s for s in sections(source.text) if s.span == span)
        inner = [s for s in sections(source.text) if s.number[:-1] == owner.number]
        number = max((s.number[-1] for s in inner), default=0) + 1
        return fragment(template, heading=f"{'.'.join(map(str, (*owner.number, number)))} {title}", **words)

    label = f"the chapter {chapter!r}"
    chapters = Scope(
        label, lambda source: [s.span for s in sections(source.text) if s.title == chapter and len(s.number) == 2]
    )
    return more(label, chapters, text, done)


def new_paragraph(title: str, template: str, done: bytes) -> Anchor:
    """Return the anchor of more text at the end of a section; the text holds `done`."""
    label = f"the section {title!r}"
    scope = Scope(label, lambda source: [s.span for s in sections(source.text) if s.title == title])
    return more(label, scope, fragment(template), done)


def new_flags(context: Context, template: str, done: bytes) -> Anchor:
    """Return the anchor of more items in the list of argument flags, of the step docs; their text holds `done`."""
    item = Scope("the item KFA_RCU", lambda source: [Span(*m.span()) for m in RCU_ITEM.finditer(source.text)])
    off = "" if "docs" in context.steps else "the step docs is off, and this list is not there without it"
    return more("the list of argument flags", item, fragment(template), done, off)


def more(name: str, scope: Scope, text: Text, done: bytes, optional: str = "") -> Anchor:
    """Return the anchor of text after a part of the document."""
    return insert_after(KFUNCS_RST, name, scope, whole(), text, lambda source: done in source.text, optional=optional)


def sections(text: bytes) -> list[Section]:
    """Return the numbered sections of a document in order; the text of a section includes its subsections."""
    titles = [m for m in TITLE.finditer(text) if len(m["line"]) >= len(m["title"])]
    numbers = [tuple(int(n) for n in m["number"].split(b".")) for m in titles]
    starts = [*(m.start() for m in titles), len(text)]
    ends = [unlabelled(text, m.end(), end) for m, end in zip(titles, starts[1:], strict=True)]
    last = [len(titles)] * len(titles)
    around: list[int] = []
    for at, number in enumerate(numbers):
        while around and number[: len(numbers[around[-1]])] != numbers[around[-1]]:
            last[around.pop()] = at
        around.append(at)
    return [
        Section(number, m["title"].decode("utf-8", "replace").strip(), Span(m.start(), ends[after - 1]))
        for m, number, after in zip(titles, numbers, last, strict=True)
    ]


def unlabelled(text: bytes, start: int, end: int) -> int:
    """Return where the text before a title ends: the labels right above a title belong to it."""
    return next((m.start() for m in LABELS.finditer(text, start, end) if m.end() == end), end)
