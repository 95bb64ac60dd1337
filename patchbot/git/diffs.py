"""Have git make diffs, always in the same form, and read them.

Diffs from git are read with unidiff, which works on text: the caller decodes them, with surrogateescape where no byte
may be lost. A mail is split first, as its changelog may hold lines that look like a diff. Diffs in people's mails are
quoted in part, wrapped and have other line ends, so `diff_lines` takes what is there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unidiff.constants import DEV_NULL
from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from ..errors import ToolError
from .objects import Objects

AS_IT_IS = ("--no-color", "--no-ext-diff", "--no-textconv")
DIFF = (*AS_IT_IS, "--no-renames", "--text", "-p", "-U3", "--diff-algorithm=myers")

COMMIT_LINE = re.compile(rb"^([0-9a-f]{40,64})$", re.M)
#: What git says about a file before its first hunk; [1] are its names.
HEAD = re.compile(r"^diff --git (.*+)(?:\n(?!@@ |diff --git ).*+)*+", re.M)
NAME = "file"
HUNK = re.compile(rb"@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@")
HEADS = (b"--- ", b"+++ ", b"old mode ", b"new mode ", b"new file mode ", b"deleted file mode ")


@dataclass(frozen=True)
class Row:
    r"""A line of a diff: its file, by the new name, its kind, and its number in the new file if it is in there.

    `kind` is +, -, a space or \\ for a line of a hunk, @ for the header of a hunk, and empty for a line about the file.
    """

    path: str
    kind: str
    text: str
    number: int | None = None


def commit_diffs(objects: Objects, commits: Sequence[str]) -> dict[str, bytes]:
    """Return {commit: its diff}, with one git process for those that were not asked for before."""
    known = objects.diffs
    asked = "".join(f"{sha}\n" for sha in dict.fromkeys(commits) if sha not in known).encode()
    if asked:
        parts = COMMIT_LINE.split(objects.look("diff-tree", "--stdin", "-r", *DIFF, stdin=asked).stdout)
        known |= dict.fromkeys(asked.decode().split(), b"")
        known |= {sha.decode(): text for sha, text in zip(parts[1::2], parts[2::2], strict=True)}
    return {sha: known[sha] for sha in commits}


def numstat(objects: Objects, commits: Sequence[str]) -> dict[str, int]:
    """Return the numbers of patches, files, and inserted and deleted lines of commits; binary files have lines, too."""
    files = {path for changes in objects.commit_changes(commits).values() for path in changes}
    texts = commit_diffs(objects, commits).values()
    signs = Counter(line[:1] for text in texts for head, line in told(text) if not head)
    return {"patches": len(commits), "files": len(files), "insertions": signs[b"+"], "deletions": signs[b"-"]}


def range_diff(objects: Objects, old: str, new: str) -> str:
    """Return git's range-diff of two commits, without its header line."""
    options = (*AS_IT_IS, "--creation-factor=1000", "--no-notes")
    said = objects.look("range-diff", *options, f"{old}^..{old}", f"{new}^..{new}").stdout
    return said.decode("utf-8", "replace").partition("\n")[2]


def commit_text(objects: Objects, commit: str) -> tuple[str, str]:
    """Return a commit for a person: its message with the diffstat, and its diff."""
    said = objects.look("show", *AS_IT_IS, "--stat=78", "-p", "--format=%B%x00", commit).stdout
    message, _, rest = said.decode("utf-8", "replace").partition("\0")
    stat = up_to_diff(rest)
    return message + stat, rest[len(stat) :]


def mail_parts(mail: str) -> tuple[str, str, str]:
    """Split a mail as git am does: up to the end of its changelog, from `---` on, and its diff."""
    log = re.split(r"^(?:---$|diff --git )", mail, maxsplit=1, flags=re.M)[0]
    below = up_to_diff(mail[len(log) :])
    return log, below, mail[len(log) + len(below) :]


def up_to_diff(text: str) -> str:
    """Return the text before the first diff."""
    return re.split(r"^diff --git ", text, maxsplit=1, flags=re.M)[0]


def read_diff(diff: str) -> list[Row]:
    """Return the lines of a diff that git made; raise ToolError for any other."""
    try:
        files = PatchSet(HEAD.sub(nameless, diff))
    except UnidiffParseError as error:
        raise ToolError(f"a diff cannot be read: {error}") from error
    lines = {line.diff_line_no: line for file in files for hunk in file for line in hunk}
    names = iter([path_of(head) for head in HEAD.finditer(diff)])
    rows, path = [], ""
    for number, text in enumerate(diff.split("\n"), 1):
        if text.startswith("diff --git "):  # no line of a hunk does
            path = next(names)
        line = lines.get(number)
        kind = line.line_type if line else text[:1] if text.startswith(("@@ ", "\\ ")) else ""
        rows.append(Row(path, kind, text, line.target_line_no if line else None))
    return rows


def files_in(diff: str) -> list[str]:
    """Return the files of a diff that git made, by their new names."""
    return list(dict.fromkeys(path_of(head) for head in HEAD.finditer(diff)))


def nameless(head: re.Match[str]) -> str:
    """Return the head of a file's diff with another name: unidiff cannot tell where one with spaces ends."""
    lines = [f"diff --git a/{NAME} b/{NAME}"]
    for line in head[0].split("\n")[1:]:
        if line.startswith(("--- ", "+++ ")) and line[4:] != DEV_NULL:
            line = f"{line[:4]}{'a' if line[0] == '-' else 'b'}/{NAME}"
        lines.append(f"Binary files a/{NAME} and b/{NAME} differ" if line.startswith("Binary files ") else line)
    return "\n".join(lines)


def path_of(head: re.Match[str]) -> str:
    """Return the path of a file, the new one if it moves: git names it, or else the same name stands there twice."""
    moved = re.search(r"^(?:rename|copy) to (.*)$", head[0], re.M)
    middle = len(head[1]) // 2
    name = moved[1] if moved else head[1][middle + 1 :]
    if not moved and head[1] != f"{name.replace('b/', 'a/', 1)} {name}":
        raise ToolError(f"a diff cannot be read: {head[1]!r} is not the name of one file, given twice")
    if name.startswith('"'):  # odd characters
        quoted = name[1:-1].encode("utf-8", "surrogateescape")
        name = quoted.decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")
    return name if moved else name[2:]


def diff_of(objects: Objects, parent: str, commit: str) -> tuple[bytes, ...]:
    """Return what a commit changes, as `diff_lines` does."""
    return diff_lines(objects.look("diff-tree", *DIFF, parent, commit).stdout)


def diff_lines(text: bytes) -> tuple[bytes, ...]:
    """Return what a diff does: files, modes, inserted and deleted lines, but not where and next to what.

    `text` may be a whole mail, whatever became of it on its way; () if it holds no diff.
    """
    return tuple(line for _, line in told(text))


def told(text: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield (whether it is about a file, line) of what `diff_lines` returns."""
    old = new = 0
    inside = False
    for line in text.split(b"\n"):
        line = line.removesuffix(b"\r")
        if old > 0 or new > 0:
            sign = line[:1] or b" "
            if sign in b" +-":
                old -= sign in b" -"
                new -= sign in b" +"
                if sign != b" ":
                    yield False, line
                continue
            if sign == b"\\":
                continue
            old = new = 0
        if line.startswith(b"diff --git "):
            inside = True
        elif inside and (match := HUNK.match(line)):
            old, new = (int(n) if n is not None else 1 for n in match.groups())
        elif inside and line.startswith(HEADS):
            yield True, line


def added_lines(diff: str) -> dict[str, list[int]]:
    """Return the numbers, in the new files, of the lines that a diff from git adds or changes."""
    found: dict[str, list[int]] = {}
    number = 0
    for row in read_diff(diff):
        if row.kind == "@":
            number = int(row.text.split(" ")[2].removeprefix("+").partition(",")[0])
        elif row.kind == "+":
            found.setdefault(row.path, []).append(number)
        number += row.kind in ("+", " ")
    return found
