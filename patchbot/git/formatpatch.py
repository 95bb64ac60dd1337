"""Have git format-patch make mails: the same bytes on every machine, whoever runs it.

They are made in patchbot's scratch repository and without the person's git configuration (attachments, prefixes, extra
headers, signatures).
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from collections.abc import Mapping, Sequence

from .. import temporary
from ..errors import ToolError
from ..model import Commit
from .objects import Objects
from .repo import Scratch

STAT = (
    *("--no-color", "--no-ext-diff", "--no-textconv", "-M", "--diff-algorithm=myers", "--indent-heuristic"),
    *("--stat=70", "--summary"),
)
PATCH = ("-U3", "--inter-hunk-context=0", "--src-prefix=a/", "--dst-prefix=b/", "--abbrev=12")
FORMAT = ("--no-attach", "--no-thread", "--no-notes", "--no-to", "--no-cc", "--no-add-header", "--no-cover-letter")
OUTPUT = ("--zero-commit", "--always", "--encode-email-headers", "--suffix=.patch", "--filename-max-length=64")
BYTES = ("utf-8", "surrogateescape")
FILE_NAME = re.compile(r"\d{4,}-[A-Za-z0-9._-]*\.patch")  # a subject without such characters leaves nothing


def patch_mails(scratch: Scratch, base: str, commits: Sequence[Commit]) -> dict[str, bytes]:
    """Return {commit: its plain mail, `[PATCH] subject`}, for checks and get_maintainer.pl."""
    options = ("--no-numbered", "--subject-prefix=PATCH", "--no-signature")
    rows = format_patches(scratch, base, commits, options, {})
    return {commit.sha: data for commit, (_, data) in zip(commits, rows, strict=True)}


def format_patches(
    scratch: Scratch, base: str, commits: Sequence[Commit], options: Sequence[str], env: Mapping[str, str]
) -> list[tuple[str, bytes]]:
    """Return (file name, mail) of each of `commits`: a line on `base`, except for empty commits between them."""
    if not commits:
        return []
    argv = ("format-patch", "-q", *STAT, *PATCH, *FORMAT, *OUTPUT, *options)

    def make() -> list[tuple[str, str]]:
        with temporary.folder("mails") as folder:
            span = f"{base}..{without_empty(scratch, base, commits)}"
            scratch.git(*argv, "-o", str(folder), span, env=env)
            made = [(path.name, path.read_bytes().decode(*BYTES)) for path in sorted(folder.iterdir())]
        if len(made) != len(commits):
            raise ToolError(
                f"git format-patch made {len(made)} mails of {len(commits)} commits; a series is a line without merges"
            )
        for name, _ in made:
            if not FILE_NAME.fullmatch(name):
                raise ToolError(f"git format-patch named a mail {name!r}")
        return made

    rows = scratch.kept(list[tuple[str, str]], make, argv, dict(env), base, [commit.sha for commit in commits])
    return [(name, mail.encode(*BYTES)) for name, mail in rows]


def portable(mail: bytes) -> bytes:
    """Return a mail of which git am keeps each byte: quoted-printable where it holds a CR, which is lost otherwise."""
    head, _, body = mail.partition(b"\n\n")
    if b"\r" not in body:
        return mail
    ours = (b"mime-version:", b"content-transfer-encoding:")
    rows = [row for row in re.split(rb"\n(?![ \t])", head) if not row.lower().startswith(ours)]
    if not any(row.lower().startswith(b"content-type:") for row in rows):
        rows.append(b"Content-Type: text/plain; charset=UTF-8")
    rows += [b"MIME-Version: 1.0", b"Content-Transfer-Encoding: quoted-printable"]
    lines = (b2a_qp(line, istext=False) for line in body.split(b"\n"))
    return b"\n".join(rows) + b"\n\n" + b"\n".join(lines)


def patch_ids(scratch: Scratch, base: str, tip: str) -> tuple[str, ...]:
    """Return the patch-ids of a line of commits on `base`, oldest first, as `git patch-id --stable` makes them."""

    def make() -> list[str]:
        mails = b"".join(patch_mails(scratch, base, scratch.commits(base, tip)).values())
        rows = scratch.git("patch-id", "--stable", stdin=mails).stdout.decode().splitlines()
        return [row.split(" ")[0] for row in rows]

    return tuple(scratch.kept(list[str], make, "patch-id", base, tip) if base != tip else ())


def add_trailer(scratch: Scratch, body: bytes, trailer: str) -> bytes:
    """Return the text of a mail up to its `---` with a trailer, unless it has it."""
    argv = ("interpret-trailers", "--no-divider", "--if-exists=addIfDifferent", f"--trailer={trailer}")
    # git takes the first paragraph for the subject, which is in the head of a mail.
    text = b"subject\n\n" + body

    def make() -> str:
        return scratch.git(*argv, stdin=text).stdout.partition(b"\n\n")[2].decode(*BYTES)

    return scratch.kept(str, make, argv, text.decode(*BYTES)).encode(*BYTES)


def diffstat(objects: Objects, base: str, tip: str) -> bytes:
    """Return the diffstat and summary of a whole series as format-patch puts them into a cover letter."""
    argv = ("diff", *STAT, base, tip)
    return objects.kept(str, lambda: objects.look(*argv).stdout.decode(*BYTES), argv).encode(*BYTES)


def without_empty(scratch: Scratch, base: str, commits: Sequence[Commit]) -> str:
    """Return the tip of `commits` without the empty commits between them, which format-patch would number."""
    parent = base
    for commit in commits:
        if commit.parent == parent:
            parent = commit.sha
            continue
        raw = scratch.raw(commit.sha)
        moved = raw.replace(f"\nparent {commit.parent}\n".encode(), f"\nparent {parent}\n".encode(), 1)
        parent = scratch.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=moved).stdout.decode().strip()
    return parent
