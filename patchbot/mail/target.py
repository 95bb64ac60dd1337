"""Read what the target tree itself says about a series: documents, tag forms and profiles differ between releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..git.objects import Objects
from ..git.repo import Repo
from ..series.maintainers import lists_of, profiles_of, sections_of

Family = Literal["", "bpf", "net"]

ASSISTANTS = "Documentation/process/coding-assistants.rst"


@dataclass(frozen=True)
class Profile:
    """What a tree says: its documents, the form of Assisted-by, whose profiles apply.

    `public` is a remote branch that has the base, `release` a kernel's tag at it and `tag` another one.
    """

    target: str
    lists: tuple[str, ...]
    documents: Mapping[str, str]
    assisted_by: str = ""
    profiles: tuple[str, ...] = ()
    public: str = ""
    release: str = ""
    tag: str = ""

    @property
    def families(self) -> set[Family]:
        """Return whose rules apply, besides the general ones."""
        found: set[Family] = {""}
        if self.target in ("bpf", "bpf-next") or any(name.startswith("bpf@") for name in self.lists):
            found.add("bpf")
        if self.target in ("net", "net-next"):
            found.add("net")
        return found

    def cite(self, document: str, phrase: str) -> str:
        """Return `document:line` of a phrase, which may span lines; the document alone if it lacks the phrase."""
        pattern = re.compile(r"\s+".join(map(re.escape, phrase.split())))
        match = pattern.search(self.documents.get(document, "")) if phrase else None
        if match is None:
            return document
        return f"{document}:{match.string.count(chr(10), 0, match.start()) + 1}"


def read_profile(repo: Repo, base: str, target: str, paths: Iterable[str], documents: Iterable[str]) -> Profile:
    """Return what the tree of `base` says about a series for `target` that touches `paths`; `documents` are read."""
    names = sorted({*documents, ASSISTANTS})
    found = {name: repo.once(Objects.read, base, name) for name in names}
    texts = {name: text.decode("utf-8", "replace") for name, text in found.items() if text}
    entries = sections_of(repo, base)
    form = re.search(r"^[ \t]+(Assisted-by: .+)$", texts.get(ASSISTANTS, ""), re.M)
    # Only known branches: nothing is fetched to find out where a base is public.
    refs = repo.names("refs/remotes", "contains", base)
    tags = repo.names("refs/tags", "points-at", base)
    own = [ref for ref in refs if target and ref.split("/", 1)[0] == target]
    released = [tag for tag in tags if re.fullmatch(r"v\d+(\.\d+)+(-rc\d+)?", tag)]
    return Profile(
        target,
        lists_of(entries, target),
        texts,
        form[1].strip() if form else "",
        profiles_of(entries, paths),
        (own or sorted(refs) or [""])[0],
        released[0] if released else "",
        next((tag for tag in tags if tag not in released), ""),
    )
