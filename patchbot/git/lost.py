"""Explain a series whose objects are gone: what is missing and what to do, instead of git's error about one of them.

A `git gc --prune` at the wrong moment, a damaged disk or a clone of a clone can take objects that refs still name.
"""

from __future__ import annotations

import re
import shlex

from ..errors import PatchbotError, UserError
from .repo import Repo


def explain_loss(repo: Repo, campaign: str, error: PatchbotError) -> PatchbotError:
    """Return the error to show instead of `error`, if the campaign's own refs lack objects."""
    heads = repo.refs("refs/heads/patchbot/").items()
    own = {ref: oid for ref, oid in heads if f"{ref}.".startswith(f"refs/heads/patchbot/{campaign}.")}
    refs = {**own, **repo.refs(f"refs/patchbot/{campaign}/")}
    lost = {ref: what for ref, oid in refs.items() if (what := lacking(repo, oid))}
    if not lost:
        return error
    frozen = [ref for ref in lost if re.search(r"/v\d+$", ref)]
    lines = [f"  {ref} is {refs[ref][:12]} and lacks {what}" for ref, what in lost.items()]
    also = f"refs/patchbot/{campaign}/draft"
    # A branch without its record looks like a person's, and a record without its branch is worthless.
    gone = list(dict.fromkeys([*lost, *(r for r in (also, f"refs/heads/patchbot/{campaign}") if r in refs)]))
    if frozen and len(frozen) == len(lost):
        gone = frozen
    again = "".join(f"\n    git --git-dir={shlex.quote(str(repo.git_dir))} update-ref -d {ref}" for ref in gone)
    versions = ", ".join(ref.rpartition("/")[2] for ref in frozen)
    return UserError(
        "objects of the series are missing from the repository (a `git gc --prune`, a damaged disk?):\n"
        + "\n".join(lines)
        + f"\nif neither `git fsck` nor a backup brings them back, delete these refs:{again}\n"
        + f"then run: patchbot generate {campaign}. It makes the same patches again; what you amended on the branch and"
        + f" the tags of the draft are lost{', and so is ' + versions if versions else ''}"
    )


def lacking(repo: Repo, oid: str) -> str:
    """Return which objects are missing that a ref reaches and no other branch, tag or HEAD does; "" if none is."""
    if not repo.has(oid):
        return oid
    known = ["--not", "HEAD", "--exclude=patchbot/*", "--branches", "--tags", "--remotes"]
    done = repo.git("rev-list", "--objects", "--quiet", "--ignore-missing", oid, *known, check=False)
    found = re.search(r"\b[0-9a-f]{40,64}\b", done.stderr.decode("utf-8", "replace"))
    return found[0] if done.returncode and found else ""
