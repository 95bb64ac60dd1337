"""Find every BTF set of kfuncs and every row in it, by tokens.

Rows span lines, end in `;` in places, stand inside #if and come out of X-macros, so neither lines nor a C grammar
finds all of them. Whatever stands between START and END and is not understood is an error: a row that is silently
skipped would keep its flags while the rest of the series says that all rows were looked at.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ....c import Directive, Source, Span, Token, conditions_at, parse, tokens
from ....series.tree import Tree
from .includes import included_macro
from .nouns import FileSets, KfuncSet, Row, SetError
from .shadows import WORDS, mentions, shadows

STARTS = {b"BTF_KFUNCS_START": b"BTF_KFUNCS_END", b"BTF_SET8_START": b"BTF_SET8_END"}
ENDS = {end: start for start, end in STARTS.items()}
ROWS = (b"BTF_ID_FLAGS", b"BTF_ID")
#: What makes sets out of sight of the reader; the header's own macros are built of it.
INNER = b"__BTF_SET8_START"
CONDITIONALS = (b"if", b"ifdef", b"ifndef", b"elif", b"elifdef", b"elifndef", b"else", b"endif")
EXPECTED = "expected BTF_ID_FLAGS(func, ...), BTF_ID(func, ...), an #if or the set's end"

_IDENTIFIER = re.compile(rb"[A-Za-z_]\w*\Z")


@dataclass(frozen=True)
class RowMacro:
    """A macro, defined between START and END, whose body is one row."""

    params: tuple[bytes, ...]
    body: tuple[Token, ...]


def read_sets(tree: Tree, path: str) -> FileSets:
    """Return the sets of a file of `tree` and what is not understood in it."""
    text = tree.read(path)
    if not mentions(text, path):
        return FileSets((), ())
    found, problems = parse_sets(path, text, ())
    unresolved = [name for name in found if isinstance(name, str)]
    if unresolved:
        macros = tuple((name, *included_macro(tree, path, text, name)) for name in sorted(set(unresolved)))
        found, problems = parse_sets(path, text, macros)
    sets = tuple(item for item in found if isinstance(item, KfuncSet))
    return FileSets(sets, tuple(item for item in found if isinstance(item, Row)), problems)


@lru_cache(maxsize=256)
def parse_sets(
    path: str, text: bytes, macros: tuple[tuple[str, str, bytes], ...]
) -> tuple[tuple[KfuncSet | Row | str, ...], tuple[str, ...]]:
    """Return the sets and rows of a text, and what is not understood.

    A plain string among the rows is an object-like macro that must be looked up first.
    """
    source = parse(path, text)
    lexed = source.lexed
    reader = _Reader(source, {name: (header, value) for name, header, value in macros})
    after = 0
    for number in sorted(n for name in (*STARTS, *ENDS, ROWS[0], INNER) for n in lexed.index.get(name, ())):
        if lexed.starts[number] < after:
            continue
        try:
            after = reader.read_at(number)
        except SetError as error:
            reader.problems.append(str(error))
            if lexed.texts[number] in STARTS:
                after = reader.stop(number)
    sets = [item for item in reader.out if isinstance(item, KfuncSet)]
    rows = [item for item in reader.out if isinstance(item, Row)]
    return tuple(reader.out), tuple(dict.fromkeys([*reader.problems, *shadows(source, sets, rows)]))


class _Reader:
    """Reads one set after the other out of a source; `out` collects sets and rows, `problems` what is not a row."""

    def __init__(self, source: Source, macros: Mapping[str, tuple[str, bytes]]) -> None:
        self.source = source
        self.macros = macros
        self.directives = source.lexed.directives
        self.directive_starts = [d.first for d in self.directives]
        self.out: list[KfuncSet | Row | str] = []
        self.problems: list[str] = []

    def directive_of(self, number: int) -> Directive | None:
        """Return the preprocessor line that a token is in, None if it is in none."""
        at = bisect_right(self.directive_starts, number) - 1
        return self.directives[at] if at >= 0 and number < self.directives[at].last else None

    def read_at(self, number: int) -> int:
        """Read the set that begins with a token and return the offset after it; 0 if none has to begin there."""
        start, word = self.source.lexed.starts[number], self.source.lexed.texts[number]
        directive = self.directive_of(number)
        if directive is not None:
            first = directive.first + 2
            defined = self.source.lexed.texts[first] if directive.last > first else b""
            if directive.keyword == b"define" and word in (*STARTS, *ENDS, INNER) and defined not in WORDS:
                raise self.error(
                    start, f"{word.decode()} inside a macro: its set cannot be followed; expected it at file scope"
                )
            return 0
        if word in ENDS:
            raise self.error(start, f"{word.decode()} without {ENDS[word].decode()} before it")
        if word not in STARTS:
            raise self.error(
                start, f"{word.decode()} outside of a set; expected {' or '.join(s.decode() for s in STARTS)} before it"
            )
        return self.read_set(number)

    def read_set(self, number: int) -> int:
        """Read the set whose START is the token `number`; return the offset after its END."""
        start = self.source.lexed.starts[number]
        found = tokens(self.source.text, start, self.stop(number))
        kind = found[0].text
        name, at = self.named(found, 0)
        self.out.append(
            KfuncSet(name, self.source.path, self.source.line(start), kind.decode(), self.conditions(start))
        )
        local: dict[bytes, RowMacro] = {}
        lines = {line.span.start: line for line in self.directives}
        while at < len(found):
            token = found[at]
            if token.text == b";":
                at += 1
            elif token.text in ENDS:
                other, after = self.named(found, at)
                if other != name or ENDS[token.text] != kind:
                    want = f"{STARTS[kind].decode()}({name})"
                    raise self.error(
                        token.start, f"{token.text.decode()}({other}) ends a set that is not open; expected {want}"
                    )
                return found[after - 1].end
            elif token.text in STARTS:
                raise self.error(
                    token.start,
                    f"{token.text.decode()} inside the set {name}; expected {STARTS[kind].decode()}({name})",
                )
            else:
                try:
                    at = self.element(found, at, name, lines, local)
                except SetError as error:
                    self.problems.append(str(error))
                    line = lines.get(token.start)
                    # What a #define holds is not a row.
                    at = next_from(found, at, line.span.end) if line is not None else after_mistake(found, at)
        raise self.error(start, f"the set {name} has no {STARTS[kind].decode()}({name})")

    def element(
        self,
        found: Sequence[Token],
        at: int,
        name: str,
        lines: Mapping[int, Directive],
        local: dict[bytes, RowMacro],
    ) -> int:
        """Take in a preprocessor line, a row or what makes rows; return the index after it."""
        token = found[at]
        if token.text == b"#" and token.start in lines:
            return self.directive(found, at, lines[token.start], local)
        if token.text in ROWS:
            args, after = self.call(found, at)
            groups = [tokens(self.source.text, a.start, a.end) for a in args]
            self.out.append(self.row(token.text, groups, name, Span(token.start, found[after - 1].end), args))
            return after
        return self.invocation(found, at, name, local)

    def stop(self, number: int) -> int:
        """Return where the text of a set ends at the latest: after the next END, or with the file."""
        lexed = self.source.lexed
        ends = sorted(n for name in ENDS for n in lexed.index.get(name, ()) if n > number)
        for end in ends:
            if self.directive_of(end) is None:
                return lexed.spans[min(end + 3, len(lexed.spans) - 1)][1]
        return len(self.source.text)

    def directive(self, found: Sequence[Token], at: int, line: Directive, local: dict[bytes, RowMacro]) -> int:
        """Take in a preprocessor line; return the index of the first token after it."""
        after = next_from(found, at, line.span.end)
        words = found[at + 1 : after]
        keyword = words[0].text if words else b""
        if keyword == b"define" and len(words) > 1:
            if words[1].text in local:
                raise self.error(
                    words[1].start,
                    f"macro {words[1].text.decode()} is defined a second time inside a set, so its rows may be others "
                    "under other conditions; expected #undef before it",
                )
            local[words[1].text] = self.row_macro(words)
        elif keyword == b"undef" and len(words) > 1:
            local.pop(words[1].text, None)
        elif keyword not in CONDITIONALS:
            raise self.error(found[at].start, f"#{keyword.decode('utf-8', 'replace')} inside a set; {EXPECTED}")
        return after

    def row_macro(self, words: Sequence[Token]) -> RowMacro:
        """Return the macro of a #define between START and END, whose body must be a row."""
        name = words[1]
        if len(words) < 3 or words[2].text != b"(" or words[2].start != name.end:
            raise self.error(
                name.start, f"macro {name.text.decode()} inside a set has no parameters; expected one that makes a row"
            )
        args, after = self.call(words, 1)
        body = words[after:]
        if not body or body[0].text not in ROWS:
            raise self.error(
                name.start, f"macro {name.text.decode()} inside a set; expected its body to be BTF_ID_FLAGS(func, ...)"
            )
        return RowMacro(tuple(self.source.at(a).strip() for a in args), tuple(body))

    def invocation(self, found: Sequence[Token], at: int, name: str, local: Mapping[bytes, RowMacro]) -> int:
        """Take in the use of a row macro, direct or by a list macro of a header; return the index after it."""
        token = found[at]
        if token.text in local:
            args, after = self.call(found, at)
            values = [tokens(self.source.at(a)) for a in args]
            self.expand(token, found[after - 1].end, name, local[token.text], values, token.text.decode())
            return after
        via = spelled(token)
        if not local or not _IDENTIFIER.match(token.text):
            raise self.error(token.start, f"{via!r} in the set {name}; {EXPECTED}")
        if via not in self.macros:
            self.out.append(via)
            return at + 1
        header, value = self.macros[via]
        if not header:
            raise self.error(
                token.start,
                f"{via!r} in the set {name}: neither this file nor a header that it includes defines it; {EXPECTED}",
            )
        inner = [t for t in tokens(value) if t.text != b"\\"]
        if not inner:
            raise self.error(
                token.start, f"{via} of {header} is empty or defined in several ways; expected one list of rows"
            )
        position = 0
        while position < len(inner):
            macro = local.get(inner[position].text)
            if macro is None:
                known = ", ".join(sorted(m.decode() for m in local))
                raise self.error(
                    token.start,
                    f"{via} of {header} holds {spelled(inner[position])!r}; expected {known}(...)",
                )
            try:
                groups, position = groups_at(inner, position + 1)
            except ValueError:
                raise self.error(
                    token.start, f"{via} of {header} holds a use of a macro that is not complete"
                ) from None
            self.expand(token, token.end, name, macro, groups, via)
        return at + 1

    def expand(
        self, token: Token, end: int, name: str, macro: RowMacro, values: Sequence[Sequence[Token]], via: str
    ) -> None:
        """Append the row that one use of a row macro makes."""
        if len(values) != len(macro.params):
            raise self.error(
                token.start, f"{via}: {len(values)} arguments for a macro of {len(macro.params)} parameters"
            )
        given = dict(zip(macro.params, values, strict=True))
        text = b" ".join(t.text for word in macro.body for t in given.get(word.text, [word]))
        inner = tokens(text)
        try:
            groups, after = groups_at(inner, 1)
        except ValueError:
            made = text.decode("utf-8", "replace")
            raise self.error(token.start, f"{via} makes no complete row: {made}") from None
        if after != len(inner):
            raise self.error(token.start, f"{via} makes more than one row: {text.decode('utf-8', 'replace')}")
        self.out.append(self.row(inner[0].text, groups, name, Span(token.start, end), via=via))

    def row(
        self,
        macro: bytes,
        groups: Sequence[Sequence[Token]],
        name: str,
        span: Span,
        args: tuple[Span, ...] = (),
        via: str | None = None,
    ) -> Row:
        """Return the row that a BTF_ID_FLAGS(...) of the text, or what makes one, is in the set `name`."""
        kfunc, flags, arg_flags = self.fields(span.start, macro, groups)
        path, first, last = self.source.path, self.source.line(span.start), self.source.line(span.end - 1)
        conditions = self.conditions(span.start)
        return Row(kfunc, name, path, first, last, span, args, flags, arg_flags, conditions, macro.decode(), via)

    def fields(
        self, at: int, macro: bytes, groups: Sequence[Sequence[Token]]
    ) -> tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return kfunc, flags and argument flags of a row."""
        texts = [[t.text for t in group] for group in groups]
        if len(texts) < 2 or texts[0] != [b"func"] or len(texts[1]) != 1 or not _IDENTIFIER.match(texts[1][0]):
            got = ", ".join(b" ".join(words).decode("utf-8", "replace") for words in texts)
            raise self.error(at, f"{macro.decode()}({got}); expected {macro.decode()}(func, <name of a kfunc>...)")
        if macro == b"BTF_ID" and len(texts) > 2:
            raise self.error(at, f"BTF_ID(func, {texts[1][0].decode()}, ...) takes no flags; expected BTF_ID_FLAGS")
        flags = tuple(self.flag_names(at, words) for words in texts[2:])
        return texts[1][0].decode(), flags[0] if flags else (), flags[1:]

    def flag_names(self, at: int, words: Sequence[bytes]) -> tuple[str, ...]:
        """Return the flags of `KF_A | KF_B`; `0` is none."""
        if list(words) == [b"0"]:
            return ()
        names, bars = words[::2], words[1::2]
        if len(words) % 2 == 0 or any(bar != b"|" for bar in bars) or not all(_IDENTIFIER.match(n) for n in names):
            got = b" ".join(words).decode("utf-8", "replace")
            raise self.error(at, f"flags {got!r}; expected 0 or names of flags with | between")
        return tuple(n.decode() for n in names)

    def named(self, found: Sequence[Token], at: int) -> tuple[str, int]:
        """Return the name in `MACRO(name)` and the index after it."""
        args, after = self.call(found, at)
        if len(args) != 1 or not _IDENTIFIER.match(self.source.at(args[0])):
            raise self.error(found[at].start, f"expected {found[at].text.decode()}(<name of the set>)")
        return self.source.at(args[0]).decode(), after

    def call(self, found: Sequence[Token], at: int) -> tuple[tuple[Span, ...], int]:
        """Return the spans of the arguments of the call at `at` and the index after its closing bracket."""
        try:
            groups, after = groups_at(found, at + 1)
        except ValueError:
            raise self.error(found[at].start, f"{spelled(found[at])} without a complete ( ... )") from None
        if any(not group for group in groups):
            raise self.error(found[at].start, f"{found[at].text.decode()} has an empty argument")
        return tuple(Span(group[0].start, group[-1].end) for group in groups), after

    def conditions(self, offset: int) -> tuple[str, ...]:
        """Return the #if conditions around `offset`, outermost first."""
        return tuple(plain(c) for c in conditions_at(self.source, offset))

    def error(self, offset: int, message: str) -> SetError:
        """Return an error that names file and line."""
        return SetError(f"{self.source.where(offset)}: {message}")


def spelled(token: Token) -> str:
    """Return a token's text for a message."""
    return token.text.decode("utf-8", "replace")


def next_from(found: Sequence[Token], at: int, offset: int) -> int:
    """Return the index of the first token from `at` on that does not begin before an offset."""
    return next((i for i in range(at, len(found)) if found[i].start >= offset), len(found))


def after_mistake(found: Sequence[Token], at: int) -> int:
    """Return where to read on after what is not understood at `at`: after its brackets, or at the next known word."""
    try:
        return groups_at(found, at + 1)[1]
    except ValueError:
        known = (b"#", *ROWS, *STARTS, *ENDS)
        return next((i for i in range(at + 1, len(found)) if found[i].text in known), len(found))


def groups_at(found: Sequence[Token], at: int) -> tuple[list[list[Token]], int]:
    """Return the comma-separated token groups of the brackets at `at` and the index after; else ValueError."""
    if at >= len(found) or found[at].text != b"(":
        raise ValueError("no bracket")
    groups: list[list[Token]] = [[]]
    depth = 0
    for index in range(at, len(found)):
        text = found[index].text
        depth += (text in (b"(", b"[", b"{")) - (text in (b")", b"]", b"}"))
        if depth == 0:
            return groups, index + 1
        if depth == 1 and text == b",":
            groups.append([])
        elif index > at:
            groups[-1].append(found[index])
    raise ValueError("brackets do not close")


def plain(condition: str) -> str:
    """Return `CONFIG_X` for `defined(CONFIG_X)`, `!CONFIG_X` for its opposite, any other condition as it is."""
    match = re.fullmatch(r"(!?)\(?\s*+defined\s*+(?:\(\s*+)?(\w++)\s*+(?:\)\s*+)?\)?", condition)
    return f"{match[1]}{match[2]}" if match else condition
