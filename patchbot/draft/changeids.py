"""Name each posting in all its versions, as b4's change-id does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from ..git.commits import read_commit
from ..git.objects import Objects
from .postings import branch_name
from .record import Document


def home(document: Document) -> str:
    """Return the name of the posting for a campaign's own tree, which the whole series is mailed as."""
    return branch_name(document.target)


def change_ids(objects: Objects, document: Document, last: Document | None) -> Mapping[str, str]:
    """Return {posting: change-id} of a draft; what the last one had is kept."""
    known = dict((last.change_ids if last else None) or {})
    for name in (home(document), *(row.name for row in document.postings or ())):
        known.setdefault(name, new_change_id(objects, document, name))
    return dict(sorted(known.items()))


def new_change_id(objects: Objects, document: Document, name: str) -> str:
    """Return a change-id in b4's form: the same for the same posting of the same person's campaign on the same base."""
    seconds, _ = objects.committer_date(document.base)
    about = f"{document.campaign}-{name}"
    author = read_commit(objects, document.patches[0].commit).author if document.patches else ""
    made_of = f"{about} {document.base} {author}"
    slug = re.sub(r"[^a-z0-9]+", "-", about.lower()).strip("-")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d}-{slug}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
