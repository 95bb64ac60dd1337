"""Name places in C: a scope (a function, a struct, a macro) and what stands in it (a statement, a member, a comment).

Scopes and selectors are values with a label, so that an anchor that does not fit can say what it looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .. import c
from ..c import Source, Span


@dataclass(frozen=True)
class Scope:
    """A named thing that a file may define: `spans` finds its definitions, `name` is its name, if it has one."""

    label: str
    spans: Callable[[Source], Sequence[Span]]
    name: str = ""


@dataclass(frozen=True)
class Selector:
    """What to look for in a scope; `pattern` is it as C, for the nearest candidate in a message."""

    label: str
    find: Callable[[Source, Span], Sequence[Span]]
    pattern: str = ""


WHOLE = Selector("it", lambda source, span: [span])


def in_file() -> Scope:
    """Name the whole file."""
    return Scope("the file", lambda source: [Span(0, len(source.text))])


def in_function(name: str, params: Sequence[str] | None = None) -> Scope:
    """Name the definition of a function; `params` are the types of its parameters, if only that one is meant."""
    label = f"{name}()" if params is None else f"{name}({', '.join(params)})"
    return Scope(label, lambda source: [f.span for f in c.function(source, name, params)], name)


def in_prototype(name: str, params: Sequence[str] | None = None) -> Scope:
    """Name the prototypes of a function."""
    wanted = None if params is None else [" ".join(p.split()) for p in params]

    def spans(source: Source) -> list[Span]:
        found = [f for f in c.prototypes(source) if f.name == name]
        return [f.span for f in found if wanted is None or [p.type for p in f.params] == wanted]

    return Scope(f"the prototype of {name}()", spans, name)


def in_struct(name: str) -> Scope:
    """Name the definition of a struct or union."""
    return Scope(f"struct {name}", lambda source: [s.span for s in c.struct(source, name)], name)


def in_enum(name: str) -> Scope:
    """Name the definition of an enum."""
    return Scope(f"enum {name}", lambda source: [s.span for s in c.enum(source, name)])


def in_initialiser(name: str) -> Scope:
    """Name the initialiser of a variable at file scope."""
    return Scope(f"the initialiser of {name}", lambda source: c.initialisers(source, name))


def macro_in(name: str, condition: str | None = None) -> Scope:
    """Name the `#define` of a macro; with `condition` (see `conditions_at`) only those under it, "" for none."""

    def spans(source: Source) -> list[Span]:
        found = c.macro(source, name)
        if condition is None:
            return [m.span for m in found]
        return [m.span for m in found if (condition in m.conditions if condition else not m.conditions)]

    under = f" under {condition}" if condition else ""
    return Scope(f"#define {name}{under}", spans, name)


def one_of(*scopes: Scope) -> Scope:
    """Name the first of `scopes` that the file has."""

    def spans(source: Source) -> Sequence[Span]:
        return next((found for scope in scopes if (found := scope.spans(source))), [])

    return Scope(" or ".join(scope.label for scope in scopes), spans)


def whole() -> Selector:
    """Select the scope itself."""
    return WHOLE


def exactly(head: str, body: str) -> Selector:
    """Select the scope, a function, if its tokens are exactly those of `head` and `body`.

    A function that does more, or serves other files too, must not be replaced: that would be lost. `const` and
    `inline` do not matter in the head.
    """
    loose = (b"const", b"inline", b"__always_inline")
    wanted = [t.text for t in c.tokens(f"{head} {{ {body} }}".encode())]

    def find(source: Source, span: Span) -> list[Span]:
        found = [t.text for t in c.tokens(source.text, span.start, span.end) if t.text not in loose]
        return [span] if found == wanted else []

    return Selector(f"exactly `{head} {{ {body} }}`", find, f"{head} {{ {body} }}")


def statement(pattern: str) -> Selector:
    """Select whole statements or declarations of a function's body that match `pattern`."""
    return Selector(f"`{pattern}`", lambda source, span: c.statements(source, pattern, span), pattern)


def tokens_like(pattern: str) -> Selector:
    """Select the tokens that match `pattern`, anywhere."""
    return Selector(f"`{pattern}`", lambda source, span: c.find(source, pattern, span), pattern)


def comment(text: str) -> Selector:
    """Select the comments that hold `text`, whatever their line breaks."""
    return Selector(f"the comment `{text}`", lambda source, span: c.comments(source, text, span))


def member(name: str) -> Selector:
    """Select the declaration of a member of the scope, a struct or union, or of an enumerator."""

    def find(source: Source, span: Span) -> list[Span]:
        owners = [t for t in (*c.structs(source), *c.enums(source)) if t.span in span]
        exact = [t for t in owners if t.span == span] or owners
        return list(dict.fromkeys(m.span for t in exact for m in t.members if m.name == name))

    return Selector(f"the member {name}", find)


def macro_definition(prefix: str) -> Selector:
    """Select the `#define`s whose name begins with `prefix`, e.g. for `last_of`."""
    return Selector(
        f"#define {prefix}*",
        lambda source, span: [m.span for m in c.macros(source) if m.name.startswith(prefix) and m.span in span],
    )


def first_of(selector: Selector) -> Selector:
    """Select the first of what `selector` selects."""
    return Selector(
        f"the first of {selector.label}", lambda source, span: selector.find(source, span)[:1], selector.pattern
    )


def last_of(selector: Selector) -> Selector:
    """Select the last of what `selector` selects."""
    return Selector(
        f"the last of {selector.label}", lambda source, span: selector.find(source, span)[-1:], selector.pattern
    )


def inside(outer: Selector, inner: Selector) -> Selector:
    """Select what `inner` selects within the selection of `outer`, e.g. a call in a statement."""
    return Selector(
        f"{inner.label} in {outer.label}",
        lambda source, span: [found for place in outer.find(source, span) for found in inner.find(source, place)],
        inner.pattern,
    )


def with_comment(selector: Selector) -> Selector:
    """Select what `selector` selects, together with the comment on the lines right above it."""

    def find(source: Source, span: Span) -> list[Span]:
        return [_under_comment(source, found) for found in selector.find(source, span)]

    return Selector(selector.label, find, selector.pattern)


def _under_comment(source: Source, span: Span) -> Span:
    """Return `span` widened by the comment that ends on the line above."""
    start = c.line_span(source, span).start
    for above in reversed(source.lexed.comments):
        if above.end > start:
            continue
        gap = source.text[above.end : start]
        if gap.strip() or gap.count(b"\n") != 1:
            break
        line = source.text.rfind(b"\n", 0, above.start) + 1
        if source.text[line : above.start].strip():
            break
        start = line
        span = Span(above.start, span.end)
    return span


def contains(pattern: str, scope: Scope | None = None) -> Callable[[Source], bool]:
    """Say, as an anchor's `done`, whether the tokens of `pattern` stand in the file or in a scope."""
    place = scope or in_file()
    return lambda source: any(c.find(source, pattern, span) for span in place.spans(source))


def contains_comment(text: str) -> Callable[[Source], bool]:
    """Say, as an anchor's `done`, whether a comment of the file holds `text`."""
    return lambda source: bool(c.comments(source, text))
