"""Read commits as a person left them: whole message, author and files; and find out who writes new ones.

A branch may hold anything, so bytes that are not UTF-8, empty commits and odd modes are kept as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UserError
from ..model import Entry, Identity, headline
from .fastimport import usable_date, without_crud
from .objects import Objects
from .repo import Repo

#: More commits than this between a base and a branch are not a series but a branch that was rebased.
MOST_COMMITS = 1000


@dataclass(frozen=True)
class Written:
    """An existing commit: its author, date (`<seconds> <+hhmm>`, "" if unknown) and whole message."""

    sha: str
    parent: str
    tree: str
    author: Identity
    date: str
    message: str

    @property
    def subject(self) -> str:
        """Return the first line of the message."""
        return headline(self.message)


def read_commit(repo: Objects, sha: str) -> Written:
    """Return a commit; raise UserError for a merge."""
    head, _, body = repo.raw(sha).partition(b"\n\n")
    rows = [line.split(b" ", 1) for line in head.split(b"\n") if b" " in line and not line.startswith(b" ")]
    parents = [value.decode() for name, value in rows if name == b"parent"]
    fields = dict(reversed(rows))
    encoding = fields.get(b"encoding", b"utf-8").decode("ascii", "replace")
    if len(parents) > 1:
        raise UserError(
            f"{sha[:12]} ({headline(decoded(body, encoding))}) is a merge, and a series is a line of commits;"
            f" take it out with: git rebase {parents[1][:12]}, where the branch is checked out"
        )
    who, message = decoded(fields.get(b"author", b""), encoding), decoded(body, encoding)
    name, _, rest = who.partition("<")
    address, _, date = rest.partition(">")
    author = Identity(name.removesuffix(" "), address)
    tree = fields[b"tree"].decode()
    return Written(sha, parents[0] if parents else "", tree, author, usable_date(date.strip()), message)


def decoded(data: bytes, encoding: str) -> str:
    """Return text of a commit; bytes that do not fit its encoding are kept."""
    try:
        return data.decode(encoding, "surrogateescape")
    except (LookupError, ValueError):
        return data.decode("utf-8", "surrogateescape")


def boundary(repo: Objects, tip: str, known: Sequence[str]) -> str:
    """Return the first commit from `tip` down that is in one of those that are known, "" where there is none near."""
    stdin = "".join(f"^{sha}\n" for sha in known).encode()
    argv = ("rev-list", "--first-parent", "--parents", f"-n{MOST_COMMITS + 1}", "--ignore-missing", "--stdin", tip)
    rows = repo.look(*argv, stdin=stdin).stdout.decode().splitlines()
    if len(rows) > MOST_COMMITS:
        return ""
    return next(iter(rows[-1].split()[1:]), "") if rows else tip


def read_touching(repo: Objects, base: str, tip: str, paths: Sequence[str]) -> list[Written]:
    """Return the newest commits of `tip`, which are not in `base`, that touch any of `paths`, without merges."""
    argv = ("--no-merges", f"-n{MOST_COMMITS}", tip, f"^{base}", "--", *paths)
    return [read_commit(repo, sha) for sha in repo.look("rev-list", *argv).stdout.decode().split()]


def read_line(repo: Objects, base: str, tip: str) -> list[Written]:
    """Return the commits from `base` (without it) to `tip`, oldest first; raise UserError if they are not a line."""
    found: list[Written] = []
    at = tip
    while at != base:
        if not at or len(found) > MOST_COMMITS:
            raise UserError(
                f"the branch at {tip[:12]} does not start at its base {base[:12]}; put its commits back there with:"
                f" git rebase --onto {base[:12]} <the commit below yours>"
            )
        commit = read_commit(repo, at)
        found.append(commit)
        at = commit.parent
    return found[::-1]


def entries(repo: Objects, commit: str, paths: Sequence[str]) -> dict[str, Entry | None]:
    """Return {path: Entry or None} of files of a commit; raise UserError for a submodule."""
    there = repo.ls(commit, *paths) if paths else {}
    return {path: entry(repo, commit, path, *there.get(path, ("", ""))) for path in paths}


def new_entries(repo: Objects, commits: Sequence[str]) -> dict[str, dict[str, Entry | None]]:
    """Return {commit: what it leaves of the files that it changes}; raise UserError for a submodule."""
    changes = repo.commit_changes(commits)
    return {
        sha: {
            path: entry(repo, sha, path, row.mode, "" if row.status == "D" else row.oid)
            for path, row in changes.get(sha, {}).items()
        }
        for sha in commits
    }


def entry(repo: Objects, commit: str, path: str, mode: str, blob: str) -> Entry | None:
    """Return a file of a commit, None without a blob; raise UserError for a submodule."""
    if mode == "160000":
        raise UserError(f"{path} of {commit[:12]} is a submodule, which patchbot cannot carry to another base")
    return Entry(mode, repo.raw(blob)) if blob else None


def author_of(repo: Repo, configured: Identity | None) -> Identity:
    """Return the author: [author] of patchbot.toml, else git's user.name and user.email for this repository."""
    name, email = (configured.name, configured.email) if configured else (own(repo, "name"), own(repo, "email"))
    who = Identity(without_crud(name), without_crud(email))
    if who.name and who.email:
        return who
    place = "[author] of patchbot.toml" if configured else f"git for {repo.git_dir}"
    lacking = " and ".join(f"user.{k}" for k, v in (("name", who.name), ("email", who.email)) if not v)
    raise UserError(
        f"no author: {place} has no {lacking} that a commit can hold; set it with git config, or put name and email"
        " into [author] of patchbot.toml"
    )


def own(repo: Repo, key: str) -> str:
    """Return git's user.name or user.email, "" if unset; raise UserError if its encoding is unknown."""
    data = (repo.config(f"user.{key}") or "").encode("utf-8", "surrogateescape")
    for encoding in ("utf-8", repo.config("i18n.commitEncoding") or "utf-8"):
        try:
            return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    raise UserError(
        f"user.{key} of git for {repo.git_dir} is not UTF-8; set it again with git config, or name its"
        " encoding in i18n.commitEncoding"
    )
