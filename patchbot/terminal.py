"""Write to the terminal so that untrusted text cannot steer, hide or reorder what a person reads.

Subjects, names, paths, mails and the output of git and compilers are untrusted. All of it passes `visible` here,
whatever is printed, and is never markup: the only escape sequences that go out are rich's own. A test makes sure that
no other module writes to stdout or stderr.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from .errors import ToolError, UserError

#: Invisible letters and marks (Default_Ignorable_Code_Point, a blank Braille cell) that str.isprintable() allows.
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: Columns that a wrapped text needs to be readable.
LEAST = 30
#: Columns by which the second row of a line is indented.
HANG = 4
#: The colour of a line of a diff, by its mark; of a range-diff's header, by the state of the patch.
MARKS = {"+": "green", "-": "red", "@": "cyan", ">": "green", "<": "red", "=": "yellow", "!": "yellow"}


def visible(text: str) -> str:
    """Return text with invisible characters spelt out, such as `\\x1b` or `\\u202e`, except for tabs and line ends.

    These are control characters, those that change the direction of text or have no width, and bytes outside UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or seen(c) else spelt(c) for c in text)


def one_line(text: str) -> str:
    """Return `visible` text in which line ends are spelt out too, and tabs are blanks."""
    return visible(text.replace("\t", " ")).replace("\n", "\\n")


def seen(char: str) -> bool:
    """Say whether a character shows as itself."""
    return char.isprintable() and not UNSEEN.match(char)


def spelt(char: str) -> str:
    """Return a character as an escape, a byte that is not UTF-8 as that byte."""
    byte = ord(char) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else char.encode("unicode_escape").decode()


def cell(text: str, style: str = "") -> Text:
    """Return untrusted text as one line for a table or a line, in one style."""
    return Text(one_line(text), style)


def aside() -> contextlib.AbstractContextManager[object]:
    """Have what the code inside prints go to stderr: stdout is for results, which may be one JSON document."""
    return contextlib.redirect_stdout(sys.stderr)


def some(rows: Sequence[str], most: int = 5) -> list[str]:
    """Return the first of many rows, and the number of the others."""
    return [*rows[:most], *([f"and {len(rows) - most} more"] if len(rows) > most else [])]


def indent_of(line: str) -> int:
    """Return how many columns the rows of a line but the first are indented by."""
    return len(line) - len(line.lstrip(" ")) + HANG


def breaks(line: str, width: int) -> list[int]:
    """Return where to break a line into rows, between words; a word that is wider than a row stays whole."""
    found, used, indent = [], 0, indent_of(line)
    if not cell_len(line) > width > LEAST + indent:
        return []
    for word in re.finditer(r"(?<! )( *+)([^ ]++)", line):
        if used and used + cell_len(word[0]) > width:
            found.append(word.start(2))
            used = indent + cell_len(word[2])
        else:
            used += cell_len(word[0])
    return found


class Terminal(Console):
    """A console on which no text is markup, and the only control sequences are rich's own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is printed, with all text `visible`, whoever made it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; raise ToolError if stdout cannot be written. What stderr does not take is lost."""
        try:
            super().print(*objects, **options)
        except BrokenPipeError:
            if not self.stderr:
                raise
        except OSError as error:
            if not self.stderr:
                raise full(error) from error

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that rich has caught here, for the command line to say how it ends."""
        raise BrokenPipeError

    def leave(self) -> None:
        """Show the cursor again and wipe the row that it is in, where the process ends at once."""
        with contextlib.suppress(OSError):
            os.write(self.file.fileno(), b"\r\x1b[J\x1b[?25h")

    def say(self, text: str | Text) -> None:
        """Print text as it is, however long its lines are: what a person may copy."""
        self.print(Text(visible(text)) if isinstance(text, str) else text, soft_wrap=True)

    def tell(self, text: str | Text) -> None:
        """Print text to be read: on a terminal its lines break between words, with an indent from the second row on."""
        for line in (Text(visible(text)) if isinstance(text, str) else text).split("\n", allow_blank=True):
            indent = " " * indent_of(line.plain)
            for number, row in enumerate(line.divide(breaks(line.plain, self.width) if self.is_terminal else ())):
                row.rstrip()
                self.say(Text(indent if number else "").append_text(row))

    def table(self, heads: Iterable[str], rows: Iterable[Iterable[str | Text]], *, cut: bool = False) -> None:
        """Print a table without rules; text in it that is not styled comes from anywhere.

        Only the last column wraps, or with `cut` ends in `…`. Where the others leave it no room, it is a line of its
        own below each row, and where no terminal is, each row is one line: a place such as file:line stays whole.
        """
        cells = [[Text(head, "bold") for head in heads]]
        cells += [[one if isinstance(one, Text) else cell(one) for one in row] for row in rows]
        widths = [max(one.cell_len for one in column) for column in zip(*cells, strict=True)]
        left = self.width - sum(widths[:-1]) - 2 * len(widths[:-1])
        if not self.is_terminal:
            for row in cells:
                pads = (" " * (width - one.cell_len + 2) for one, width in zip(row, widths, strict=True))
                self.say("".join(one.plain + pad for one, pad in zip(row, pads, strict=True)).rstrip())
        elif left < min(widths[-1], LEAST):
            for first, *others in cells:
                line = Text("  ").join(one for one in (first, *others[:-1]) if one)
                fits = line.cell_len <= self.width
                self.print(line if fits else first, soft_wrap=True)
                for rest in ([] if fits else [Text("  ").join(others[:-1])]) + others[-1:]:
                    self.print(Padding(rest, (0, 0, 0, 4)))
        else:
            grid = Table.grid(padding=(0, 2, 0, 0))
            for width in widths[:-1]:
                grid.add_column(width=width, no_wrap=True)
            for row in cells:
                if cut:
                    row[-1].truncate(left, overflow="ellipsis")
                grid.add_row(*row)
            self.print(grid)

    def diff(self, rows: Iterable[tuple[str, str]]) -> None:
        """Print (line, mark) rows, each in the colour of its mark."""
        for line, mark in rows:
            self.print(Text(visible(line), MARKS.get(mark, "")), soft_wrap=True)


def prepare() -> None:
    """Make stdout and stderr take any text; raise UserError if stdout is closed.

    Characters that their encoding lacks (a Latin-1 locale, a CI runner's ASCII) are spelt out. The next file that is
    opened would become a closed one.
    """
    lacking = sys.stdout is None
    while (low := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(low)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if lacking:
        raise UserError("stdout is closed, and the result would be lost; send it to /dev/null if you do not want it")


def write(text: str = "") -> None:
    """Print a whole document to stdout and flush it; raise ToolError if that fails."""
    try:
        if sys.stdout is not None:
            sys.stdout.write(text)
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise full(error) from error


def full(error: OSError) -> ToolError:
    """Return the error for a stdout that cannot be written."""
    return ToolError(f"cannot write the result to stdout: {error.strerror or error}")


def complain(text: str, who: str = "patchbot") -> None:
    """Print an error message to stderr, if there is a stderr."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            width = shutil.get_terminal_size().columns if sys.stderr.isatty() else 0
            for line in f"{who}: {visible(text)}".split("\n"):
                cuts = [0, *breaks(line, width), len(line)]
                rows = (line[start:end].rstrip() for start, end in pairwise(cuts))
                sys.stderr.write(f"\n{' ' * indent_of(line)}".join(rows) + "\n")


def let_go() -> None:
    """Drop what stdout and stderr do not take, so that Python does not try again at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
