"""Make anchors: text before, after or in place of something in a scope, or the first of several that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..c import Source, Span, find_text, line_span, unfit
from ..model import Edit
from .anchors import Alternative, Anchor, AnchorError, Text
from .selectors import WHOLE, Scope, Selector

Paths = str | tuple[str, ...]
Done = Callable[[Source], bool] | None
Editor = Callable[[Source, Span], Sequence[Edit]]


def insert_before(
    path: Paths, name: str, scope: Scope, what: Selector, text: Text, done: Done = None, *, optional: str = ""
) -> Anchor:
    """Anchor whole lines of `text` before the line on which the selection of `what` in `scope` begins.

    Without `done`, the edit counts as made if the tokens of `text` stand in the scope (in the file, if `what` selects
    the scope itself). Give `done` if `text` is made by a function.
    """

    def edit(source: Source, span: Span) -> list[Edit]:
        insist_fit(source, span, before=True)
        at = line_span(source, span).start
        return [Edit(source.path, at, at, _lines(source, span, text))]

    return _anchor(path, name, scope, what, text, edit, done, optional)


def insert_after(
    path: Paths, name: str, scope: Scope, what: Selector, text: Text, done: Done = None, *, optional: str = ""
) -> Anchor:
    """Anchor whole lines of `text` after the line on which the selection of `what` in `scope` ends; `done` as above."""

    def edit(source: Source, span: Span) -> list[Edit]:
        insist_fit(source, span, after=True)
        at = line_span(source, span).end
        separator = b"" if source.text[:at].endswith(b"\n") else b"\n"
        return [Edit(source.path, at, at, separator + _lines(source, span, text))]

    return _anchor(path, name, scope, what, text, edit, done, optional)


def replace(
    path: Paths, name: str, scope: Scope, what: Selector, text: Text, done: Done = None, *, optional: str = ""
) -> Anchor:
    """Anchor `text` in place of exactly the selection of `what` in `scope`.

    Without `done`, the edit counts as made if the tokens of `text` stand in `scope` and hold everything that `what`
    selects. Give `done` if `text` is empty or made by a function.
    """

    def edit(source: Source, span: Span) -> list[Edit]:
        new = _new(source, span, text)
        if new.count(b";") > 1:
            insist_fit(source, span)
        return [Edit(source.path, span.start, span.end, new)]

    def replaced(source: Source) -> bool:
        if callable(text):
            return False
        spans = scope.spans(source)
        texts = [found for span in spans for found in find_text(source, _encode(text), span)]
        olds = [found for span in spans for found in what.find(source, span)]
        return bool(texts) and all(any(old in new for new in texts) for old in olds)

    return _anchor(path, name, scope, what, text, edit, done or replaced, optional)


def lost(path: str, name: str, why: str) -> Anchor:
    """Return an anchor that counts as missing, because something that its edit depends on is not known."""
    return Anchor(name, path, (), lost=why)


def either(name: str, *anchors: Anchor) -> Anchor:
    """Join anchors into one that has all their alternatives, in order, each tried in all their files."""
    paths = dict.fromkeys(p for a in anchors for p in ((a.path,) if isinstance(a.path, str) else a.path))
    optional = next((a.optional for a in anchors if a.optional), "")
    return Anchor(name, tuple(paths), tuple(x for a in anchors for x in a.alternatives), optional)


def insist_fit(source: Source, span: Span, *, before: bool = False, after: bool = False) -> None:
    """Raise AnchorError if no lines can go before or after a statement."""
    why = unfit(source, span, before=before, after=after)
    if why:
        raise AnchorError(why)


def _anchor(
    path: Paths, name: str, scope: Scope, what: Selector, text: Text, edit: Editor, done: Done, optional: str
) -> Anchor:
    """Build an anchor with one alternative."""

    def find(source: Source) -> list[Span]:
        return [found for span in scope.spans(source) for found in what.find(source, span)]

    def inserted(source: Source) -> bool:
        if callable(text):
            return False
        spans = scope.spans(source)
        places = [(found, span) for span in spans for found in what.find(source, span)]
        outside = any(span in found for found, span in places)
        return any(find_text(source, _encode(text), None if outside else span) for span in spans)

    label = scope.label if what is WHOLE else f"{what.label} in {scope.label}"
    alternative = Alternative(label, find, edit, done or inserted, scope.spans, what.pattern, scope.name)
    return Anchor(name, path, (alternative,), optional)


def _encode(text: str | bytes) -> bytes:
    """Return a text as bytes."""
    return text if isinstance(text, bytes) else text.encode()


def _new(source: Source, span: Span, text: Text) -> bytes:
    """Return the new text for a place, with the line ends of the file."""
    new = text(source, span) if callable(text) else _encode(text)
    if b"\r\n" not in source.at(line_span(source, span)):
        return new
    return new.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _lines(source: Source, span: Span, text: Text) -> bytes:
    """Return the new text for a place as whole lines."""
    new = _new(source, span, text)
    return new if new.endswith(b"\n") or not new else new + b"\n"
