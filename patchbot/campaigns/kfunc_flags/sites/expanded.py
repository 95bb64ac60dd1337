"""Define what is compared when the rows of a tree are counted twice: a row, with one name for each bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ....c.constants import constant
from .flags import FAMILIES
from .plan import ARGUMENT_FLAG


@dataclass(frozen=True, order=True)
class Expanded:
    """A row of the preprocessor or the inventory: flags of the kfunc, then those of each argument."""

    file: str
    set: str
    kfunc: str
    flags: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """Return the row in words."""
        flags = ", ".join(" | ".join(names) or "0" for names in self.flags) or "0"
        return f"{self.kfunc} in {self.set or 'no set'} with {flags}"


class Names:
    """Flags, by the names that the campaign uses for their bits."""

    def __init__(self, values: Mapping[str, int]) -> None:
        asked = frozenset({*ARGUMENT_FLAG, *ARGUMENT_FLAG.values()})
        self.values = values
        self.by_bit: dict[tuple[str, int], str] = {}
        for name in sorted(values, key=lambda n: (n not in asked, n)):
            if values[name] & (values[name] - 1) == 0:
                self.by_bit.setdefault((family(name), values[name]), name)
        self.asked = asked

    def of_text(self, text: str, kind: str) -> tuple[str, ...]:
        """Return the names in an expanded expression; parts that are not numbers are kept."""
        found: set[str] = set()
        for part in [text] if constant(text) is not None else text.split("|"):
            value = constant(part)
            found.update(self.of_value(value, kind) if value is not None else [" ".join(part.split())])
        return tuple(sorted(found))

    def of_value(self, value: int, kind: str) -> list[str]:
        """Return the name of each bit of a number."""
        return [self.by_bit.get((kind, bit), hex(bit)) for bit in (1 << n for n in range(64)) if value & bit]

    def of_words(self, words: Iterable[str], kind: str, own: Mapping[str, int | None], kept: bool) -> tuple[str, ...]:
        """Return the names that an inventory has; `own` are those of the file.

        A second name for a flag that the campaign converts is kept, unless a person decided to keep the row.
        """
        found: set[str] = set()
        for word in words:
            value = self.values.get(word, own.get(word))
            names = self.of_value(value, kind) if value is not None else [word]
            found.update([word] if not kept and not self.asked.isdisjoint(names) else names)
        return tuple(sorted(found))


def kind(number: int) -> str:
    """Return the family of the flags at a place in a row: those of the kfunc come first."""
    return FAMILIES[min(number, 1)]


def family(name: str) -> str:
    """Return the family of a flag: those of kfuncs or those of arguments."""
    return next((f for f in reversed(FAMILIES) if name.startswith(f)), "")
