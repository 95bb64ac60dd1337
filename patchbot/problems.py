"""Say everything that is wrong with a new base at once, and who changed it there.

Generating stops at the first step that fails. For a person who must mend a campaign, the other steps are tried too: an
anchor that a later step lacks is named in the same message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .anchors import AnchorError
from .campaign import Campaign, Context
from .config import CampaignConfig
from .errors import PatchbotError, RefusedSites, UserError
from .git import Repo
from .model import Commit
from .series import active_steps
from .tree import Tree

PLACE = re.compile(r"^\s*([^\s:]+/[^\s:]+|[A-Z][a-z]+file)(?::(\d+))?: ")
#: A blame of one line of a file with a long history takes seconds; more than this is not worth waiting for.
PATIENCE = 20.0


@contextmanager
def explained(tree: Tree, campaign: Campaign, config: CampaignConfig, old: str) -> Iterator[None]:
    """Add to a failure to generate what else is wrong and which commit of the new base last changed each place."""
    try:
        yield
    except (AnchorError, RefusedSites) as error:
        lines = str(error).split("\n")
        for extra in others(tree, campaign, config):
            lines += [line for line in extra.split("\n") if line not in lines]
        text = "\n".join(annotated(tree.repo, tree.commit, old, lines))
        kind: type[PatchbotError] = RefusedSites if isinstance(error, RefusedSites) else UserError
        raise kind(f"{text}\nthe last version is as it was") from error


def others(tree: Tree, campaign: Campaign, config: CampaignConfig) -> list[str]:
    """Return what the inventory refuses and what each step says that fails on its own."""
    found = []
    audit = campaign.audit(tree, config)
    if audit.refused:
        found.append("\n".join(f"  {line}" for line in audit.refused))
    steps = active_steps(campaign, config)
    current = tree
    for step in steps:
        try:
            change = step.codemod(Context(current, tree, config, tuple(s.name for s in steps)))
        except AnchorError as error:
            found.append(str(error))
        except PatchbotError:
            continue  # it says that an earlier step is missing
        else:
            current = current.edit(change.edits)
    return found


def annotated(repo: Repo, new: str, old: str, lines: Sequence[str]) -> list[str]:
    """Return lines with the commit that last changed the place that each begins with, where history has it."""
    out: list[str] = []
    for line in lines:
        out.append(line)
        match = PLACE.match(line)
        if match:
            commit = last_change(repo, old, new, match[1], int(match[2]) if match[2] else None)
            if commit:
                out.append(f"    last changed by {commit.sha[:12]} ({commit.subject})")
    return out


def last_change(repo: Repo, old: str, new: str, path: str, line: int | None) -> Commit | None:
    """Return the commit of `new` that last changed a file, None where only a root commit (no history) has it.

    With a line, the commit that is to blame for it, if that is not in `old`; deleted files are found too.
    """
    try:
        if line is not None:
            blame = ("-s", "-l", "--root", f"-L{line},{line}", new, "--", path)
            done = repo.git("blame", *blame, check=False, timeout=PATIENCE)
            sha = done.stdout.decode("ascii", "replace").lstrip("^").split(" ", 1)[0]
            if done.returncode == 0 and re.fullmatch(r"[0-9a-f]{40,64}", sha):
                return described(repo, sha)
        for span in (f"{old}..{new}", new):
            done = repo.git("log", "-1", "--format=%H", span, "--", path, check=False, timeout=PATIENCE)
            if done.returncode == 0:
                break
    except PatchbotError:
        return None
    sha = done.stdout.decode().strip()
    return described(repo, sha) if sha else None


def described(repo: Repo, sha: str) -> Commit | None:
    """Return a commit, None for one without a parent, which changed nothing but is where history was cut."""
    row = repo.text("show", "-s", "--format=%P%x01%T%x01%s", sha)
    parent, tree, subject = row.split("\x01", 2)
    return Commit("", sha, parent, tree, subject) if parent else None
