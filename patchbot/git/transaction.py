"""Hand a finished series over to a person's repository: objects first, safe from every gc, then all refs at once.

git moves refs in one transaction, but a concurrent `git gc --prune` removes objects that no ref reaches yet, and
fast-import leaves out what the repository had at that moment. So everything from the base to the new refs goes over in
one pack, which a .keep file protects until the refs exist. Neither step is interrupted, whatever happens to patchbot.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import temporary
from ..errors import PatchbotError, ToolError, UserError
from ..signals import whole
from .checkout import Checkout
from .held import checkouts
from .repo import Repo, Scratch

#: (ref, new id, id it must have now); None for no such ref.
Update = tuple[str, str | None, str | None]
#: How often to try again where another git has a ref locked; git itself waits for 0.1 s each time.
TRIES = 15
#: What git says about a ref that is not where it was.
MOVED = re.compile(r"is at [0-9a-f]+ but expected|reference already exists|unable to resolve reference|is missing but")
MARK = "patchbot"
#: What git says about a repository that we may not write, or that another process has locked.
LOCKED = re.compile(
    "Permission denied|Read-only file system|Operation not permitted|insufficient permission|File exists"
)
#: Objects are taken as fast-import compressed them; each of the other options would give the pack another name.
FORMS = ((), *(("--no-reuse-object", f"--compression={level}") for level in (6, 1, 9, 0, 3, 5, 7, 2, 4, 8)))


def publish(repo: Repo, scratch: Scratch, updates: Sequence[Update], base: str = "") -> None:
    """Take over the objects of `scratch` from `base` to the new ids, and move all refs or none.

    Without `base` its packs are taken as they are. Raises UserError if a ref is not where it must be, or is locked;
    nothing was moved then.
    """
    sweep(repo)
    with temporary.folder("pack") as place:
        packs = sorted((scratch.objects / "pack").glob("*.pack"))
        if base:
            packs = [whole_pack(repo, scratch, updates, base, place / "new")]
        with whole():
            try:
                for pack in packs:
                    hand_over(repo, pack)
                with moved_along(repo, updates):
                    move_refs(repo, updates)
            finally:
                for pack in packs:
                    unmark(stem_of(repo, pack).with_suffix(".keep"))


@contextmanager
def moved_along(repo: Repo, updates: Sequence[Update]) -> Iterator[None]:
    """Move the clean work trees of branches before these move, and back if that fails; raise UserError if one cannot.

    Only if the person asked for it; nothing was moved where one of them cannot.
    """
    moves: list[tuple[Checkout, str, str]] = []
    refs = {ref: (old, new) for ref, new, old in updates if ref.startswith("refs/heads/")}
    for ref, trees in checkouts(repo, [*refs]).items() if repo.update_checkouts else ():
        old, new = refs[ref]
        if not old or not new:
            what = "would go" if old else "does not exist yet"
            raise UserError(f"{ref.removeprefix('refs/heads/')} {what}, and is checked out in {trees[0].place}")
        moves += [(tree, old, new) for tree in trees if old != new]
    for tree, old, new in moves:
        tree.insist(old, new)
    begun: list[tuple[Checkout, str]] = []
    try:
        for tree, old, new in moves:
            begun.append((tree, old))
            tree.move(old, new)
        yield
    except BaseException:
        for tree, old in begun:
            tree.restore(old)
        raise


def whole_pack(repo: Repo, scratch: Scratch, updates: Sequence[Update], base: str, file: Path) -> Path:
    """Write everything that the new refs reach to a pack, wherever it is now, and return the file.

    What `base` or one of the old refs reaches is left out: it stays, as the old refs are remembered.
    """
    there = {old for _, _, old in updates if old}
    kept = [f"^{sha}\n" for sha, it in repo.things(there).items() if it]
    asked = "".join([*(f"{new}\n" for _, new, _ in updates if new and new not in there), f"^{base}\n", *kept])
    for form in FORMS:
        # A search for better deltas (--window) takes a second.
        done = scratch.git(
            "pack-objects", "--revs", "--stdout", "-q", "--window=0", *form, stdin=asked.encode(), check=False
        )
        if done.returncode:
            lost = re.search(r"\b[0-9a-f]{40,64}\b", done.stderr.decode("utf-8", "replace"))
            raise UserError(
                f"object {lost[0] if lost else '?'} of the new series is gone: did `git gc` run meanwhile?"
                " Nothing was written; run it again"
            )
        file.write_bytes(done.stdout)
        # A running gc may be about to delete a pack of the same name from an earlier run.
        if not stem_of(repo, file).with_suffix(".pack").exists():
            break
    return file


def stem_of(repo: Repo, pack: Path) -> Path:
    """Return the path of a pack in the repository, without its suffix: git names it by the digest at its end."""
    size = 20 if repo.form == "sha1" else 32
    return repo.objects / "pack" / f"pack-{pack.read_bytes()[-size:].hex()}"


def hand_over(repo: Repo, pack: Path) -> None:
    """Put a pack into the repository, protected by a .keep file."""
    said = ""
    for _ in range(TRIES):
        # stdin is a file, not a pipe: if patchbot is killed now, git still finishes and leaves no half pack.
        with open(pack, "rb") as feed:
            done = repo.git("index-pack", "--stdin", f"--keep={MARK} {here()}", feed=feed, apart=True, check=False)
        if not done.returncode:
            return
        said = done.stderr.decode("utf-8", "surrogateescape").strip()
        if "No such file" not in said:
            break
        time.sleep(0.1)  # a `git gc --prune=now` removes what git has not named yet
    stem = stem_of(repo, pack)
    if stem.with_suffix(".keep").exists() and not stem.with_suffix(".idx").exists():
        stem.with_suffix(".pack").unlink(missing_ok=True)
    if "No such file" in said:
        raise UserError("`git gc` or `git prune` removes what git writes here; nothing was written; run it again")
    raise unwritten(repo.git_dir, said)


def move_refs(repo: Repo, updates: Sequence[Update]) -> None:
    """Move refs in one transaction."""
    lines = ["start"]
    # Without no-deref a symbolic ref would be followed, and another branch moved.
    none = "0" * (40 if repo.form == "sha1" else 64)
    lines += [f"option no-deref\nupdate {ref} {new or none} {old or none}" for ref, new, old in updates]
    lines += ["prepare", "commit", ""]
    said = ""
    for _ in range(TRIES):
        argv = ("update-ref", "-m", "patchbot", "--stdin")
        done = repo.git(*argv, stdin="\n".join(lines).encode(), apart=True, check=False)
        if not done.returncode:
            repo.let_move()
            return
        said = done.stderr.decode("utf-8", "surrogateescape").strip()
        if "File exists" not in said:
            break
        time.sleep(0.1)
    raise unmoved_refs(repo, said)


def unmoved_refs(repo: Repo, said: str) -> PatchbotError:
    """Return the error for refs that git did not move."""
    ref = match[1] if (match := re.search(r"cannot (?:lock|update) ref '([^']*)'", said)) else "a ref"
    if match := re.search(r"Unable to create '([^'\n]*)': File exists", said):
        return UserError(
            f"{ref} is locked, so nothing was written: {match[1]} exists. If no git runs in {repo.git_dir} now, one"
            " was killed and left it: delete that file, then run this again"
        )
    if MOVED.search(said) and (file := repo.common_dir / ref).is_file() and repo.ref(ref) is None:
        return UserError(f"{file} is damaged and names no object; nothing was written; delete it, then run this again")
    if MOVED.search(said):
        return UserError(f"somebody else moved {ref} meanwhile; nothing was written, run it again")
    if match := re.search(r"'([^']*)' exists; cannot create '([^']*)'", said):
        return UserError(f"{match[1]} is in the way of {match[2]}; nothing was written; rename it, then run this again")
    if "nonexistent object" in said or "bad object" in said:
        return UserError(f"objects of the new {ref} have disappeared meanwhile; nothing was written, run it again")
    return unwritten(repo.git_dir, said)


def unwritten(where: Path, said: str) -> PatchbotError:
    """Return the error for a repository that cannot be written: a UserError if a person can fix it."""
    text = f"cannot write to {where}, no ref was moved: {said}"
    return UserError(text) if LOCKED.search(said) else ToolError(text)


def here() -> str:
    """Return what identifies this process, so that a later one with its number is not mistaken for it."""
    return f"{os.getpid()} {started(os.getpid())}"


def started(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; "" if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def sweep(repo: Repo) -> None:
    """Remove the .keep files of runs that were killed; otherwise nothing would ever clean up their packs."""
    for file in (repo.objects / "pack").glob("pack-*.keep"):
        match = marked(file)
        if match and (not match[2] or started(int(match[1])) != match[2]):
            unmark(file)


def unmark(file: Path) -> None:
    """Remove a .keep file that patchbot wrote."""
    if marked(file):
        file.unlink(missing_ok=True)


def marked(file: Path) -> re.Match[str] | None:
    """Return the process that wrote a .keep file, and when it started; None if it was not patchbot."""
    try:
        return re.fullmatch(rf"{MARK} (\d+) (\d*)\n?", file.read_text(errors="replace"))
    except OSError:
        return None
