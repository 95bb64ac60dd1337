"""Say who holds a branch: git refuses to move one under a work tree, a rebase or a bisection, and so does patchbot.

`git worktree list` names the branch of each HEAD only; a rebase that stopped has its branch in a file of its own.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import CheckedOut, UserError
from ..run import run
from .checkout import Checkout
from .plumbing import PLAIN
from .repo import Repo

CHECKED_OUT = "is checked out in"


def held(repo: Repo, ref: str) -> list[str]:
    """Return why a branch must not move, one clause a reason: which work trees have it, and what is going on there."""
    found = []
    target = repo.git("symbolic-ref", "-q", ref, check=False).stdout.decode("utf-8", "surrogateescape").strip()
    if target:
        found.append(f"is a symbolic ref to {target}; delete it with: git symbolic-ref -d {ref}")
    if elsewhere := other_repository(repo, ref):
        found.append(f"lies in {elsewhere}, another repository, by a symbolic link below {repo.common_dir / 'refs'}")
    for git_dir, place in work_trees(repo):
        if head_of(git_dir) == ref:
            if not place.is_dir():
                way = f"git --git-dir={shlex.quote(str(repo.common_dir))} worktree prune"
                found.append(f"belongs to {place}, a work tree that is gone; free it with: {way}")
            elif not repo.update_checkouts:
                found.append(f"{CHECKED_OUT} {place}; free it with: git -C {shlex.quote(str(place))} switch --detach")
            elif why := Checkout(git_dir, place).unfit():
                found.append(why)
        for state, names in busy(git_dir).items():
            if ref in names:
                end = "bisect reset" if state == "bisect" else f"{state} --continue` or `git {state} --abort"
                found.append(f"is held by a {state} in progress in {place}; end that first: `git {end}`")
    return found


def refuse_held(repo: Repo, refs: Sequence[str]) -> None:
    """Raise UserError for the first of many branches that must not move."""
    if not refs:
        return
    # Asking git of each of a hundred branches takes a second; these few answers are enough to pass most by.
    taken = {row.partition(" ")[0] for row in symbolic(repo)}
    for git_dir, _ in work_trees(repo):
        taken |= {head_of(git_dir), *(name for names in busy(git_dir).values() for name in names)}
    away = other_repository(repo, refs[0]) is not None
    for ref in refs:
        if (away or ref in taken or len(refs) == 1) and (why := held(repo, ref)):
            short = ref.removeprefix("refs/heads/")
            kind = CheckedOut if len(why) == 1 and why[0].startswith(CHECKED_OUT) else UserError
            raise kind(f"{short} {why[0]} (patchbot moves no branch that git itself would not move)")


def checkouts(repo: Repo, refs: Sequence[str]) -> dict[str, list[Checkout]]:
    """Return {branch: the work trees that have it checked out} of some branches."""
    found: dict[str, list[Checkout]] = {}
    for git_dir, place in work_trees(repo) if refs else ():
        if (ref := head_of(git_dir)) in refs and place.is_dir():
            found.setdefault(ref, []).append(Checkout(git_dir, place))
    return found


def head_of(git_dir: Path) -> str:
    """Return the branch that a work tree has checked out, "" for none."""
    done = run(["git", f"--git-dir={git_dir}", "symbolic-ref", "-q", "HEAD"], env=PLAIN, check=False)
    return os.fsdecode(done.stdout.strip())


def symbolic(repo: Repo) -> list[str]:
    """Return the names of patchbot's branches that only stand for others, as a person may have made them."""
    rows = repo.text("for-each-ref", "--format=%(refname) %(symref)", "refs/heads/patchbot").split("\n")
    return [row for row in rows if row.partition(" ")[2]]


def other_repository(repo: Repo, ref: str) -> Path | None:
    """Return where a ref would be written, if links lead out of a repository that has its own objects.

    A work tree of git-new-workdir borrows both by links: that is one repository.
    """
    folder = (repo.common_dir / ref).parent.resolve()
    homes = (repo.common_dir.resolve(), repo.objects.resolve().parent)
    return None if any(folder.is_relative_to(home) for home in homes) else folder


def work_trees(repo: Repo) -> Iterator[tuple[Path, Path]]:
    """Yield the git folder and the path of each work tree, even if it is gone."""
    main = repo.common_dir
    bare = run(["git", f"--git-dir={main}", "rev-parse", "--is-bare-repository"], env=PLAIN, check=False)
    if bare.stdout.strip() != b"true":
        yield main, main.parent if main.name == ".git" else main
    for folder in sorted((main / "worktrees").glob("*")):
        try:
            yield folder, Path(os.fsdecode((folder / "gitdir").read_bytes().rstrip(b"\n"))).parent
        except OSError:
            yield folder, folder


def busy(git_dir: Path) -> dict[str, set[str]]:
    """Return {"rebase" or "bisect": the branches it will move or return to} for what is going on in a work tree."""
    rebase: set[str] = set()
    for name in ("rebase-merge/head-name", "rebase-apply/head-name", "rebase-merge/update-refs"):
        rebase |= set(lines_of(git_dir / name))
    bisect = {f"refs/heads/{name}" for name in lines_of(git_dir / "BISECT_START")}
    return {"rebase": rebase, "bisect": bisect}


def lines_of(file: Path) -> list[str]:
    """Return the lines of one of git's files, none if it does not exist."""
    try:
        return [line.strip() for line in os.fsdecode(file.read_bytes()).splitlines()]
    except OSError:
        return []
