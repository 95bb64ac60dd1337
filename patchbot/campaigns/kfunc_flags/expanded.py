"""Name what is compared when the rows of a tree are counted twice: a row, its flags under one name for each bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .flags import FAMILIES, value_of
from .plan import ARGUMENT_FLAG


@dataclass(frozen=True, order=True)
class Expanded:
    """A row as the preprocessor or the inventory has it: flags of the kfunc, then those of each argument."""

    file: str
    set: str
    kfunc: str
    flags: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """Return it in words."""
        flags = ", ".join(" | ".join(names) or "0" for names in self.flags) or "0"
        return f"{self.kfunc} in {self.set or 'no set'} with {flags}"


class Names:
    """Flags under the names that the campaign knows their bits by."""

    def __init__(self, values: Mapping[str, int]) -> None:
        asked = (*ARGUMENT_FLAG, *ARGUMENT_FLAG.values())
        self.values = values
        self.by_bit: dict[tuple[str, int], str] = {}
        for name in sorted(values, key=lambda n: (n not in asked, n)):
            self.by_bit.setdefault((family(name), values[name]), name)
        self.asked = asked

    def of_text(self, text: str, kind: str) -> tuple[str, ...]:
        """Return the names of an expanded expression, its own text where it has bits that have no name."""
        value = value_of(text)
        if value is None:
            return (" ".join(text.split()),)
        bits = [1 << n for n in range(64) if value >> n & 1]
        return tuple(sorted(self.by_bit.get((kind, bit), hex(bit)) for bit in bits))

    def of_words(self, words: Iterable[str], kind: str, own: Mapping[str, int | None]) -> tuple[str, ...]:
        """Return names as an inventory has them, `own` being those of the file: a second name for a flag that the
        campaign converts stays what it is.
        """
        found = set()
        for word in words:
            bit = self.values.get(word, own.get(word))
            known = self.by_bit.get((kind, bit), hex(bit)) if bit is not None else word
            found.add(word if known in self.asked else known)
        return tuple(sorted(found))


def kind(number: int) -> str:
    """Return the family of the flags that come at a place in a row: those of the kfunc are first."""
    return FAMILIES[min(number, 1)]


def family(name: str) -> str:
    """Return which flags a flag belongs to: those of kfuncs or those of arguments."""
    return next((f for f in reversed(FAMILIES) if name.startswith(f)), "")


def trimmed(flags: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return flags up to the last that are any."""
    out = list(flags)
    while out and not out[-1]:
        out.pop()
    return tuple(out)
