"""Find every BTF set of kfuncs and every row in it, by tokens.

Rows span lines, sometimes end in `;`, stand inside #if and come from X-macros, so neither lines nor a C grammar finds
all of them. Anything between START and END that is not understood is an error: a silently skipped row would keep its
flags while the series claims that every row was considered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ....c import Directive, Source, Span, parse
from ....c.tokens import Lexed
from ....series.tree import Tree
from . import definitions
from .includes import included_macro
from .nouns import FileSets, KfuncSet, Row, SetError
from .reading import IDENTIFIER, Reader, bracketed, spelled
from .shadows import WORDS, mentions, shadows

STARTS = {b"BTF_KFUNCS_START": b"BTF_KFUNCS_END", b"BTF_SET8_START": b"BTF_SET8_END"}
ENDS = {end: start for start, end in STARTS.items()}
ROWS = (b"BTF_KFUNC", b"BTF_ID_FLAGS", b"BTF_ID")
#: What makes sets out of sight of the reader; the header's own macros are built of it.
INNER = b"__BTF_SET8_START"
CONDITIONALS = (b"if", b"ifdef", b"ifndef", b"elif", b"elifdef", b"elifndef", b"else", b"endif")
EXPECTED = "expected BTF_ID_FLAGS(func, ...), BTF_KFUNC(...), BTF_ID(func, ...), an #if or the set's end"


@dataclass(frozen=True)
class RowMacro:
    """A macro, defined between START and END, whose body is one row."""

    params: tuple[bytes, ...]
    body: tuple[bytes, ...]


def read_sets(tree: Tree, path: str) -> FileSets:
    """Return the sets of a file of `tree`, and what is not understood in it."""
    text = tree.read(path)
    if not mentions(text, path):
        return FileSets((), ())
    found, problems = parse_sets(path, text, ())
    unresolved = [name for name in found if isinstance(name, str)]
    if unresolved:
        macros = tuple((name, *included_macro(tree, path, text, name)) for name in sorted(set(unresolved)))
        found, problems = parse_sets(path, text, macros)
    sets = tuple(item for item in found if isinstance(item, KfuncSet))
    rows = sorted((item for item in found if isinstance(item, Row)), key=lambda row: row.span.start)
    return FileSets(sets, tuple(rows), problems)


@lru_cache(maxsize=256)
def parse_sets(
    path: str, text: bytes, macros: tuple[tuple[str, str, bytes], ...]
) -> tuple[tuple[KfuncSet | Row | str, ...], tuple[str, ...]]:
    """Return the sets and rows of a text, and what is not understood.

    A plain string among the rows is an object-like macro, which must be looked up first.
    """
    source = parse(path, text)
    lexed = source.lexed
    reader = _Reader(source, {name: (header, value) for name, header, value in macros})
    after = 0
    for number in sorted(n for name in (*STARTS, *ENDS, *ROWS[:2], INNER) for n in lexed.index.get(name, ())):
        if number < after:
            continue
        try:
            after = reader.read_at(number)
        except SetError as error:
            reader.problems.append(str(error))
            if lexed.texts[number] in STARTS:
                after = reader.stop(number)
    defined, unread = definitions.read(source)
    out = (*reader.out, *defined)
    sets = [item for item in out if isinstance(item, KfuncSet)]
    rows = [item for item in out if isinstance(item, Row)]
    return out, tuple(dict.fromkeys([*reader.problems, *unread, *shadows(source, sets, rows)]))


class _Reader(Reader):
    """Reads the sets of a source that have their rows between START and END."""

    def __init__(self, source: Source, macros: Mapping[str, tuple[str, bytes]]) -> None:
        super().__init__(source)
        self.macros = macros

    def read_at(self, number: int) -> int:
        """Read the set that begins with a token and return the token after it; 0 if no set begins there."""
        word = self.texts[number]
        directive = self.lexed.directive_at(number)
        if directive is not None:
            defined = self.texts[directive.first + 2 : directive.last][:1]
            if directive.keyword == b"define" and word in (*STARTS, *ENDS, INNER) and defined[0] not in WORDS:
                raise self.error(
                    number, f"{word.decode()} inside a macro: its set cannot be followed; expected it at file scope"
                )
            return 0
        if word in ENDS:
            raise self.error(number, f"{word.decode()} without {ENDS[word].decode()} before it")
        if word not in STARTS:
            raise self.error(
                number,
                f"{word.decode()} outside a set; expected {' or '.join(s.decode() for s in STARTS)} before it",
            )
        return self.read_set(number)

    def read_set(self, start: int) -> int:
        """Read the set whose START is a token; return the token after its END."""
        last, kind = self.stop(start), self.texts[start]
        name, at = self.named(start, last)
        line = self.source.line(self.lexed.starts[start])
        self.out.append(KfuncSet(name, self.source.path, line, kind.decode(), self.conditions(start)))
        end = f"{STARTS[kind].decode()}({name})"
        local: dict[bytes, RowMacro] = {}
        while at < last:
            word = self.texts[at]
            if word == b";":
                at += 1
            elif word in ENDS:
                other, after = self.named(at, last)
                if other != name or ENDS[word] != kind:
                    raise self.error(at, f"{word.decode()}({other}) ends a set that is not open; expected {end}")
                return after
            elif word in STARTS:
                raise self.error(at, f"{word.decode()} inside the set {name}; expected {end}")
            else:
                try:
                    at = self.element(at, last, name, local)
                except SetError as error:
                    self.problems.append(str(error))
                    at = self.after_mistake(at, last)
        raise self.error(start, f"the set {name} has no {end}")

    def element(self, at: int, last: int, name: str, local: dict[bytes, RowMacro]) -> int:
        """Read a preprocessor line, a row or a macro that makes rows; return the token after it."""
        if at in self.lexed.in_directive:
            return self.directive(self.lexed.in_directive[at], local)
        if self.texts[at] in ROWS:
            args, after = self.call(at, last)
            spans = tuple(self.lexed.span(*arg) for arg in args)
            words = [self.texts[first:end] for first, end in args]
            self.out.append(self.row(self.texts[at], words, name, self.lexed.span(at, after), spans))
            return after
        return self.invocation(at, last, name, local)

    def stop(self, number: int) -> int:
        """Return the last token that a set can end at: after the next END, or at the end of the file."""
        ends = sorted(n for name in ENDS for n in self.lexed.index.get(name, ()) if n > number)
        outside = (end + 4 for end in ends if self.lexed.directive_at(end) is None)
        return min(next(outside, len(self.texts)), len(self.texts))

    def after_mistake(self, at: int, last: int) -> int:
        """Return where to continue after something unknown: after its line or brackets, or at a known word."""
        if at in self.lexed.in_directive:
            return self.lexed.in_directive[at].last  # the body of a #define is not a row
        try:
            return bracketed(self.lexed, at + 1, last)[1]
        except ValueError:
            known = (b"#", *ROWS, *STARTS, *ENDS)
            return next((i for i in range(at + 1, last) if self.texts[i] in known), last)

    def directive(self, line: Directive, local: dict[bytes, RowMacro]) -> int:
        """Read a preprocessor line; return the token after it."""
        named = self.texts[line.first + 2 : line.last][:1]
        if line.keyword == b"define" and named:
            if named[0] in local:
                raise self.error(
                    line.first + 2,
                    f"macro {named[0].decode()} is defined again inside a set, so its rows may differ "
                    "under other conditions; expected #undef before it",
                )
            local[named[0]] = self.row_macro(line)
        elif line.keyword == b"undef" and named:
            local.pop(named[0], None)
        elif line.keyword not in CONDITIONALS:
            raise self.error(line.first, f"#{spelled(line.keyword)} inside a set; {EXPECTED}")
        return line.last

    def row_macro(self, line: Directive) -> RowMacro:
        """Return the macro of a #define between START and END, whose body must be a row."""
        name, opening = line.first + 2, line.first + 3
        where = f"macro {self.texts[name].decode()} inside a set"
        touching = opening < line.last and self.lexed.starts[opening] == self.lexed.spans[name][1]
        if not touching or self.texts[opening] != b"(":
            raise self.error(name, f"{where} has no parameters; expected one that makes a row")
        args, after = self.call(name, line.last)
        body = tuple(self.texts[after : line.last])
        if not body or body[0] not in ROWS:
            raise self.error(name, f"{where}; expected its body to be BTF_ID_FLAGS(func, ...) or BTF_KFUNC(...)")
        return RowMacro(tuple(self.source.at(self.lexed.span(*arg)) for arg in args), body)

    def invocation(self, at: int, last: int, name: str, local: Mapping[bytes, RowMacro]) -> int:
        """Read the use of a row macro, directly or by a list macro of a header; return the token after it."""
        via = spelled(self.texts[at])
        if self.texts[at] in local:
            args, after = self.call(at, last)
            values = [self.texts[first:end] for first, end in args]
            self.expand(at, after, name, local[self.texts[at]], values, via)
            return after
        if not local or not IDENTIFIER.match(self.texts[at]):
            raise self.error(at, f"{via!r} in the set {name}; {EXPECTED}")
        if via not in self.macros:
            self.out.append(via)
            return at + 1
        header, value = self.macros[via]
        if not header:
            raise self.error(
                at,
                f"{via!r} in the set {name}: neither this file nor a header that it includes defines it; {EXPECTED}",
            )
        inner, position = Lexed(value), 0
        if not inner.texts:
            raise self.error(at, f"{via} of {header} is empty or defined in several ways; expected one list of rows")
        while position < len(inner.texts):
            macro = local.get(inner.texts[position])
            if macro is None:
                known = ", ".join(sorted(m.decode() for m in local))
                got = spelled(inner.texts[position])
                raise self.error(at, f"{via} of {header} holds {got!r}; expected {known}(...)")
            try:
                args, position = bracketed(inner, position + 1, len(inner.texts))
            except ValueError:
                raise self.error(at, f"{via} of {header} holds an incomplete use of a macro") from None
            self.expand(at, at + 1, name, macro, [inner.texts[first:end] for first, end in args], via)
        return at + 1

    def expand(
        self, at: int, after: int, name: str, macro: RowMacro, values: Sequence[Sequence[bytes]], via: str
    ) -> None:
        """Append the row that a use of a row macro makes."""
        if len(values) != len(macro.params):
            raise self.error(at, f"{via}: {len(values)} arguments for a macro of {len(macro.params)} parameters")
        given = dict(zip(macro.params, values, strict=True))
        made = Lexed(b" ".join(t for word in macro.body for t in given.get(word, [word])))
        try:
            args, end = bracketed(made, 1, len(made.texts))
        except ValueError:
            raise self.error(at, f"{via} makes an incomplete row: {spelled(made.text)}") from None
        if end != len(made.texts):
            raise self.error(at, f"{via} makes more than one row: {spelled(made.text)}")
        words = [made.texts[first:last] for first, last in args]
        self.out.append(self.row(made.texts[0], words, name, self.lexed.span(at, after), via=via))

    def row(
        self,
        macro: bytes,
        words: Sequence[Sequence[bytes]],
        name: str,
        span: Span,
        args: tuple[Span, ...] = (),
        via: str | None = None,
    ) -> Row:
        """Return the row that a macro call of the text, or what makes one, is in the set `name`."""
        at = self.lexed.token_range(span.start, span.end)[0]
        kfunc, flags, arg_flags = self.fields(at, macro, words)
        path, first, last = self.source.path, self.source.line(span.start), self.source.line(span.end - 1)
        conditions = self.conditions(at)
        return Row(kfunc, name, path, first, last, span, args, flags, arg_flags, conditions, macro.decode(), via)

    def fields(
        self, at: int, macro: bytes, words: Sequence[Sequence[bytes]]
    ) -> tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return kfunc, flags and argument flags of a row."""
        if macro == b"BTF_KFUNC":
            return self.fields_of_kfunc(at, words)
        if len(words) < 2 or words[0] != [b"func"] or len(words[1]) != 1 or not IDENTIFIER.match(words[1][0]):
            got = ", ".join(spelled(b" ".join(group)) for group in words)
            raise self.error(at, f"{macro.decode()}({got}); expected {macro.decode()}(func, <name of a kfunc>...)")
        if macro == b"BTF_ID" and len(words) > 2:
            raise self.error(at, f"BTF_ID(func, {words[1][0].decode()}, ...) takes no flags; expected BTF_ID_FLAGS")
        if len(words) > 3:
            dropped = ", ".join(spelled(b" ".join(group)) for group in words[3:])
            raise self.error(
                at,
                f"BTF_ID_FLAGS(func, {words[1][0].decode()}, ...) drops {dropped!r} without a word; "
                "expected BTF_KFUNC(<name>, <flags>, <flags of argument 0>...)",
            )
        flags = [self.flag_names(at, group) for group in words[2:]]
        return words[1][0].decode(), flags[0] if flags else (), ()

    def fields_of_kfunc(
        self, at: int, words: Sequence[Sequence[bytes]]
    ) -> tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return kfunc, flags and argument flags of a BTF_KFUNC()."""
        if len(words) < 3 or len(words[0]) != 1 or not IDENTIFIER.match(words[0][0]):
            got = ", ".join(spelled(b" ".join(group)) for group in words)
            raise self.error(
                at, f"BTF_KFUNC({got}); expected BTF_KFUNC(<name of a kfunc>, <flags>, <flags of argument 0>...)"
            )
        flags, *arguments = (self.flag_names(at, group) for group in words[1:])
        return words[0][0].decode(), flags, tuple(arguments)
