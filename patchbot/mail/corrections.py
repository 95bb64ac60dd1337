"""Correct who gets a patch: by a person's rules for paths, and for those who take the patches of the target's tree.

get_maintainer.pl names those who maintain the touched files. A patch of mm/ that goes to bpf-next would miss the people
who apply it, and a section may name the people of a tree as reviewers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import CampaignConfig, RecipientRule, suggestion
from ..errors import ConfigError
from ..model import Finding, Status
from ..places import lines_of
from ..series.maintainers import Sections, keepers_of, lists_of
from ..series.tree import covers
from .recipients import Recipient, Recipients, recipient_of


@dataclass(frozen=True)
class Corrections:
    """The rules of a campaign, each with its file:line, and who gets each patch for the target's tree.

    That are the people who take them, of whom one is enough, and its `lists`, which no rule drops.
    """

    rules: tuple[tuple[str, RecipientRule], ...] = ()
    keepers: tuple[Recipient, ...] = ()
    lists: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: CampaignConfig, file: Path | None, entries: Sections, tree: str) -> Corrections:
        """Return the corrections of a campaign for a tree, by the entries of MAINTAINERS."""
        key = f"campaigns.{config.name}.recipients"
        rows = [(f"{key}[{number}]", rule) for number, rule in enumerate(config.recipients, 1)]
        for at, rule in rows:
            for text in (*rule.add, *rule.drop):
                if recipient_of(text) is None:
                    raise ConfigError(f"{text!r} is not an address that a mail can have", at)
        lines = lines_of(file.read_text(encoding="utf-8-sig"), *(at for at, _ in rows)) if file and rows else {}
        rules = tuple((f"{file}:{lines[at]}" if at in lines else at, rule) for at, rule in rows)
        people = [person for text in keepers_of(entries, tree) if (person := recipient_of(text))]
        keepers = tuple(replace(person, role=f"maintainer:{tree}") for person in people)
        return cls(rules, keepers, frozenset(map(address_of, lists_of(entries, tree))))

    def apply(self, who: Recipients, paths: Sequence[str]) -> Recipients:
        """Return the recipients of a patch that touches these paths."""
        people = {person.email.lower(): person for person in who.everyone}
        if not any(k.email.lower() in people and people[k.email.lower()].is_owner for k in self.keepers):
            people |= {person.email.lower(): person for person in self.keepers}
        added: list[tuple[str, Recipient]] = []
        dropped: list[tuple[str, Recipient]] = []
        for place, rule in self.rules:
            if not any(covers(rule.path, path) for path in paths):
                continue
            for address in map(address_of, rule.drop):
                if address in people and address not in self.lists:
                    dropped.append((place, people.pop(address)))
            for text in rule.add:
                address, person = address_of(text), recipient_of(text)
                if person and address not in people:
                    people[address] = person
                    added.append((place, person))
        return replace(who, everyone=tuple(people.values()), added=tuple(added), dropped=tuple(dropped))

    def doubts(self, files: Sequence[str], everyone: Iterable[str]) -> list[Finding]:
        """Return what is to be said of rules for none of the series' files, and of people whom they do not drop.

        `everyone` are all who get a mail or were dropped.
        """
        found = []
        known = sorted(map(address_of, everyone))
        folders = sorted({part for file in files for part in parts(file)})
        for place, rule in self.rules:
            if not any(covers(rule.path, path) for path in files):
                hint = suggestion(rule.path.strip("/"), folders)
                text = f"{place}: no patch touches {rule.path!r}{hint}"
                found.append(Finding(Status.WARN, text, None, None, "R8"))
                continue
            for address in map(address_of, rule.drop):
                hint = suggestion(address, known)
                text = f"{address} still gets each patch: it is the list of the tree" if address in self.lists else ""
                text = text or (f"no patch goes to {address}{hint}" if address not in known and hint else "")
                found += [Finding(Status.WARN, f"{place}: {text}", None, None, "R8")] if text else []
        return found


def address_of(text: str) -> str:
    """Return the address of `Name <address>`, or a bare one, for comparison."""
    person = recipient_of(text)
    return person.email.lower() if person else text.lower()


def parts(file: str) -> list[str]:
    """Return a path and the folders that it is in."""
    names = file.split("/")
    return ["/".join(names[:end]) for end in range(1, len(names) + 1)]
