"""Read the sets whose rows are behind the kfuncs: BPF_KFUNC() anywhere between the START and the END of its sets."""

from __future__ import annotations

from collections.abc import Sequence

from ....c import Source
from .nouns import DEFINED, KfuncSet, Row, SetError
from .reading import IDENTIFIER, Reader, spelled
from .shadows import WORDS

START, END, ROW = DEFINED.encode(), b"BPF_KFUNC_SET_END", b"BPF_KFUNC"
EXPECTED = "BPF_KFUNC(<set>, <name of the kfunc>, <flags>...) or the sets as (<set>, <set>...)"


def read(source: Source) -> tuple[list[KfuncSet | Row | str], list[str]]:
    """Return the sets and rows of a source, and what is not understood."""
    reader = _Reader(source)
    for number in sorted(n for name in (START, END, ROW) for n in source.lexed.index.get(name, ())):
        try:
            reader.read_at(number)
        except SetError as error:
            reader.problems.append(str(error))
    return reader.out, reader.problems + [str(error) for error in reader.unended()]


class _Reader(Reader):
    """Reads one macro after the other; `open` gives the START of each set that has no END yet."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.open: dict[str, int] = {}

    def read_at(self, number: int) -> None:
        """Read the macro call at a token; in a preprocessor line only what makes one is of interest."""
        word, last = self.texts[number], len(self.texts)
        directive = self.lexed.directive_at(number)
        if directive is not None:
            if directive.keyword == b"define" and self.texts[directive.first + 2] not in WORDS:
                raise self.error(
                    number, f"{word.decode()} inside a macro cannot be followed; expected it at file scope"
                )
        elif word == ROW:
            self.row(number, last)
        else:
            name, _ = self.named(number, last)
            if (word == START) == (name in self.open):
                what = f"{word.decode()}({name}), and the set is {'' if word == START else 'not '}open"
                raise self.error(number, f"{what}; expected {END.decode()}({name}) after each {DEFINED}({name})")
            if word == START:
                self.open[name] = number
                line = self.source.line(self.lexed.starts[number])
                self.out.append(KfuncSet(name, self.source.path, line, DEFINED, self.conditions(number)))
            else:
                del self.open[name]

    def row(self, number: int, last: int) -> None:
        """Append the row of a BPF_KFUNC(): one for each of its sets."""
        args, after = self.call(number, last)
        span = self.lexed.span(number, after)
        words = [self.texts[first:end] for first, end in args]
        if len(words) < 3 or len(words[1]) != 1 or not IDENTIFIER.match(words[1][0]):
            raise self.error(number, f"{spelled(self.source.at(span))}; expected {EXPECTED}")
        flags, *arguments = (self.flag_names(number, group) for group in words[2:])
        first, end = self.source.line(span.start), self.source.line(span.end - 1)
        spans = tuple(self.lexed.span(*arg) for arg in args)
        for name in self.sets(number, words[0]):
            where = (name, self.source.path, first, end, span, spans)
            conditions = self.conditions(number)
            self.out.append(Row(spelled(words[1][0]), *where, flags, tuple(arguments), conditions, spelled(ROW)))

    def sets(self, number: int, words: Sequence[bytes]) -> list[str]:
        """Return the names of the sets in the first argument of a BPF_KFUNC(), which must be open."""
        listed = words[:1] == [b"("] and words[-1:] == [b")"]
        names, commas = (words[1:-1:2], words[2:-1:2]) if listed else (words, words[1:])
        if not all(map(IDENTIFIER.match, names)) or any(c != b"," for c in commas) or len(set(names)) != len(names):
            raise self.error(number, f"the sets {spelled(b' '.join(words))!r}; expected {EXPECTED}")
        if closed := [spelled(n) for n in names if spelled(n) not in self.open]:
            raise self.error(
                number,
                f"BPF_KFUNC() for the set {closed[0]}, which is not open; "
                f"expected {DEFINED}({closed[0]}) before it and {END.decode()}({closed[0]}) after it",
            )
        return [spelled(name) for name in names]

    def unended(self) -> list[SetError]:
        """Return an error for each set that is still open."""
        return [self.error(at, f"the set {name} has no {END.decode()}({name})") for name, at in self.open.items()]
