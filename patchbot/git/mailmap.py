"""Ask git who is who by the .mailmap of a commit, and by nobody's own configuration."""

from __future__ import annotations

import re
from functools import cache

from ..model import Identity
from .repo import Repo

#: A name comes from a mail and may hold anything.
UNSAFE = re.compile(r"[<>\x00-\x1f\x7f]")


class Mailmap:
    """The .mailmap of a commit; one that is not there says nothing."""

    def __init__(self, repo: Repo, commit: str) -> None:
        self.repo, self.commit = repo, commit
        self.text = (repo.read(commit, ".mailmap") or b"").lower()
        self.email = cache(self._email)

    def same(self, one: Identity, other: Identity) -> bool:
        """Say whether two people are one."""
        return self.email(one) == self.email(other)

    def _email(self, person: Identity) -> str:
        """Return a person's own address, in lower case."""
        address = person.email.lower()
        if f"<{address}>".encode() not in self.text:
            return address
        contact = f"{UNSAFE.sub(' ', person.name)} <{person.email}>\n".encode("utf-8", "replace")
        argv = ("-c", f"mailmap.blob={self.commit}:.mailmap", "check-mailmap", "--stdin")
        found = re.search(rb"<([^<>]*)>\n", self.repo.look(*argv, stdin=contact, check=False).stdout.lower())
        return found[1].decode("utf-8", "replace") if found else address
