"""Say everything that is wrong with a new base at once, and who changed it there.

Generating stops at rows that need a decision before it looks for anchors. Whoever must mend a campaign for a new base
wants to know both: each step is tried then, and an anchor that it lacks is named in the same message.
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
from .written import read_commit

PLACE = re.compile(r"^\s*([^\s:]+/[^\s:]+|[A-Z][a-z]+file)(?::(\d+))?: ")
#: A blame of one line of a file with a long history takes seconds; more than this is not worth waiting for.
PATIENCE = 20.0


@contextmanager
def explained(tree: Tree, campaign: Campaign, config: CampaignConfig, old: str) -> Iterator[None]:
    """Add to a failure to generate what else is wrong and which commit of the new base last changed each place."""
    try:
        yield
    except (UserError, RefusedSites) as error:
        lines = str(error).split("\n")
        if isinstance(error, RefusedSites):
            for text in failing(tree, campaign, config):
                lines += text.split("\n")
        text = "\n".join(annotated(tree.repo, tree.commit, old, lines))
        kind: type[PatchbotError] = RefusedSites if isinstance(error, RefusedSites) else UserError
        raise kind(f"{text}\nthe last version is as it was") from error


def failing(tree: Tree, campaign: Campaign, config: CampaignConfig) -> list[str]:
    """Return what each step says that lacks an anchor; the inventory's refusal kept generate from trying them."""
    found = []
    steps = active_steps(campaign, config)
    names = tuple(s.name for s in steps)
    current = tree
    for step in steps:
        try:
            change = step.codemod(Context(current, tree, config, names))
        except AnchorError as error:
            found.append(f"{step.name}: {error}")
        except PatchbotError:
            continue  # a consequence of what is named already
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

    With a line, the commit that is to blame for it, if `old` lacks that; deleted files are found too.
    """
    try:
        if line is not None:
            blame = ("-s", "-l", "--root", f"-L{line},{line}", new, "--", path)
            done = repo.git("blame", *blame, check=False, timeout=PATIENCE)
            sha = done.stdout.decode("ascii", "replace").lstrip("^").split(" ", 1)[0]
            known = repo.git("merge-base", "--is-ancestor", sha, old, check=False).returncode == 0
            commit = described(repo, sha) if done.returncode == 0 and not known else None
            if commit:
                return commit
        for span in (f"{old}..{new}", new):
            done = repo.git("log", "-1", "--format=%H", span, "--", path, check=False, timeout=PATIENCE)
            if done.returncode == 0:
                break
        sha = done.stdout.decode().strip()
        return described(repo, sha) if sha else None
    except PatchbotError:
        return None


def described(repo: Repo, sha: str) -> Commit | None:
    """Return a commit, None for one without a parent, which changed nothing but is where history begins."""
    made = read_commit(repo, sha)
    return Commit("", sha, made.parent, made.tree, made.subject) if made.parent else None
