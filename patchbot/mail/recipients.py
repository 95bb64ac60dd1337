"""Find out who gets a mail, by the target tree's own get_maintainer.pl for each patch.

The script runs in a small export of the files it reads, never in the user's tree, once a patch. It tries each pattern
of MAINTAINERS (0.5 s), so it gets the part of that which may have the files of the patch (0.1 s). Its answer is kept by
the content of what it read, so asking again costs nothing. What it prints comes from MAINTAINERS, and each line is
checked before it can become part of a mail's header.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.errors import MessageError
from email.headerregistry import Address
from functools import lru_cache
from pathlib import Path, PurePosixPath

from .. import temporary
from ..errors import MissingTool, ToolError, UserError
from ..git.diffs import files_in, mail_parts
from ..git.export import write_files, write_landmarks
from ..git.objects import Objects
from ..git.repo import Repo
from ..identity import identity
from ..progress import ticked
from ..run import run, which
from ..sandbox import NORMAL, Sandbox
from ..series.maintainers import Sections, owning, sections_of, strangers
from ..store import read_json, write_json

SCRIPT = "scripts/get_maintainer.pl"
OPTIONS = ("--no-git", "--no-git-fallback", "--roles", "--no-rolestats")

#: What the script reads besides the patch.
MAINTAINERS = "MAINTAINERS"
READ = (SCRIPT, MAINTAINERS, ".get_maintainer.conf", ".get_maintainer.ignore", ".mailmap")

WITH_NAME = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>\s]{1,320})>\s*(?:\((?P<role>.*)\))?")
BARE = re.compile(r"(?P<name>)(?P<email>[^<>()\s@]{1,64}@[^<>()\s@]{1,255})\s*(?:\((?P<role>.*)\))?")
#: Lines from which the script takes names of files.
FILE = re.compile(rb"(?m)^(?:diff --git|[+-]{3}| mode change|rename)\s.*$")
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, order=True)
class Recipient:
    """A person or a list; `role` is get_maintainer.pl's word for it, such as `maintainer:BPF [CORE]`."""

    email: str
    name: str = ""
    role: str = ""

    @property
    def is_list(self) -> bool:
        """Say whether this is a mailing list."""
        return bool(re.match(r"(open|moderated|subscriber) list", self.role))

    @property
    def is_owner(self) -> bool:
        """Say whether this person maintains a touched file: maintainers are in To, all others in Cc."""
        named = re.match(r"(maintainer|supporter|odd fixer|chief penguin):", self.role)
        return bool(named) and ":Keyword:" not in self.role

    @property
    def section(self) -> str:
        """Return the section of MAINTAINERS that names this person, as the script prints it: its end may be cut."""
        return self.role.partition(":")[2]

    def is_of(self, section: str) -> bool:
        """Say whether only this section names this person."""
        start, cut, _ = self.section.partition("...")
        return section.startswith(start) if cut else section == start

    def __str__(self) -> str:
        """Return `Name <address>` or the address, quoted as a header needs it, not yet encoded."""
        return str(Address(self.name, addr_spec=self.email)) if self.name else self.email


@dataclass(frozen=True)
class Recipients:
    """The recipients of one mail, in get_maintainer.pl's order, and lines of its output without a valid address.

    `guessed` are those of sections that match a path only by N:, though others name it; they get nothing. `added` and
    `dropped` are (file:line of the rule, person).
    """

    everyone: tuple[Recipient, ...]
    rejected: tuple[str, ...] = ()
    guessed: tuple[Recipient, ...] = ()
    added: tuple[tuple[str, Recipient], ...] = ()
    dropped: tuple[tuple[str, Recipient], ...] = ()

    @property
    def to(self) -> tuple[Recipient, ...]:
        """Return the maintainers of the touched files."""
        return tuple(r for r in self.everyone if r.is_owner)

    @property
    def cc(self) -> tuple[Recipient, ...]:
        """Return reviewers, lists and all others."""
        return tuple(r for r in self.everyone if not r.is_owner)


def parse(output: str) -> Recipients:
    """Return what get_maintainer.pl printed, one address a line with its role in parentheses."""
    rows = {line: recipient_of(line.strip(" ")) for line in output.split("\n") if line.strip()}
    found = once(recipient for recipient in rows.values() if recipient)
    return Recipients(tuple(found.values()), tuple(line for line, recipient in rows.items() if recipient is None))


def once(people: Iterable[Recipient]) -> dict[str, Recipient]:
    """Return people by address, each as first named."""
    found: dict[str, Recipient] = {}
    for person in people:
        found.setdefault(person.email.lower(), person)
    return found


@lru_cache(maxsize=1 << 12)
def recipient_of(line: str) -> Recipient | None:
    """Return the recipient in one line, None if it has no address that is safe in a mail's header."""
    match = WITH_NAME.fullmatch(line) or BARE.fullmatch(line)
    if match is None or UNSAFE.search(line) or not match["email"].isascii():
        return None
    name = match["name"].strip()
    name = re.sub(r"\\(.)", r"\1", name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name)
    try:
        address = Address(name, addr_spec=match["email"])
    except (MessageError, ValueError, IndexError):  # the parser gives up on "a@" with an IndexError
        return None
    if not address.username or not re.fullmatch(r"[\w-]+(\.[\w-]+)+", address.domain):
        return None
    return Recipient(address.addr_spec, name, match["role"] or "")


def recipients(
    repo: Repo,
    base: str,
    patches: Sequence[bytes],
    folder: Path,
    jobs: int = 2,
    sandbox: Callable[[], Sandbox] = lambda: NORMAL,
    correct: Callable[[Recipients, Sequence[str]], Recipients] = lambda who, paths: who,
) -> list[Recipients]:
    """Return the recipients of each of `patches` (mails of format-patch) by the MAINTAINERS of commit `base`.

    `folder` is patchbot's own and keeps the answers; `correct` is told the files of a patch. Raises
    UserError if the tree lacks the script, MissingTool without perl, ToolError if the script fails.
    """
    texts = [stable(patch) for patch in patches]
    touched = {text: files_in(mail_parts(text.decode("utf-8", "surrogateescape"))[2]) for text in texts}
    seen = {text: sorted({*files, *named_in(text)}) for text, files in touched.items()}
    extra = sorted({path for files in seen.values() for path in files if path.endswith(".yaml")})
    blobs = {path: oid for path, (_, oid) in repo.ls(base, *READ, *extra).items()}
    for path in (SCRIPT, MAINTAINERS):
        if path not in blobs:
            raise UserError(f"{path}: no such file in {base[:12]}, so it is unknown who gets a patch for this tree")
    entries = sections_of(repo, base)
    parts = {text: entries.part(files, text.decode("utf-8", "surrogateescape")) for text, files in seen.items()}
    read = sorted(row for row in blobs.items() if row[0] != MAINTAINERS)
    told = json.dumps([repo.once(own_code), OPTIONS, read]).encode()
    answers = folder / f"get_maintainer-{hashlib.sha256(told).hexdigest()[:20]}"
    named = named_folders(repo, base, (path for files in seen.values() for path in files))
    asked = {text: text + parts[text] + repr(sorted(named & above(files))).encode() for text, files in seen.items()}
    kept = {text: answers / f"{hashlib.sha256(key).hexdigest()}.json" for text, key in asked.items()}
    found = {text: who for text in texts if (who := read_json(kept[text], Recipients))}
    todo = [text for text in kept if text not in found]
    if todo:
        perl, tree = which("perl", "perl"), sandbox()
        files = {path: repo.read(base, path) or b"" for path in blobs}
        with temporary.folder("get_maintainer") as place:

            def answer(row: tuple[int, bytes]) -> str:
                number, text = row
                here = place / str(number)
                export({**files, MAINTAINERS: parts[text]}, sorted(named), here)
                return ask(perl, here, tree, text)

            with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
                said = pool.map(answer, enumerate(todo))
                for text, output in zip(todo, ticked("who gets which mail", said, len(todo)), strict=True):
                    found[text] = parse(output)
                    write_json(kept[text], found[text])
    return [correct(without_guesses(found[text], entries, touched[text]), touched[text]) for text in texts]


def own_code(repo: Objects) -> str:
    """Return the identity of this module."""
    return identity(Path(__file__))


def without_guesses(who: Recipients, entries: Sections, paths: Iterable[str]) -> Recipients:
    """Return the recipients without those of sections to which `paths` only seem to belong."""
    odd = {section.name for path in paths for section in strangers(entries, path)}
    odd -= {section.name for path in paths for section in owning(entries, path)}
    guessed = tuple(person for person in who.everyone if any(person.is_of(name) for name in odd))
    return replace(who, everyone=tuple(p for p in who.everyone if p not in guessed), guessed=guessed)


def ask(perl: str, place: Path, sandbox: Sandbox, patch: bytes) -> str:
    """Run the script on one patch and return its output."""
    # HOME: it also reads ~/.get_maintainer.conf, which would make the answer depend on who asks.
    # The script names people in the order of perl's hashes, which is another in each run without a seed.
    env = {"HOME": str(place), "PERL5LIB": "", "PERL5OPT": "", "PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}
    inside = sandbox.around(place, [place], programs=[perl])
    done = run([perl, SCRIPT, *OPTIONS], cwd=place, env=env, stdin=patch, timeout=120, check=False, inside=inside)
    if b"Can't locate" in done.stderr:
        raise MissingTool(f"perl lacks its standard modules; Debian has them in the package perl\n{done.explain()}")
    if done.returncode:
        raise ToolError(f"{SCRIPT} of this tree failed: {done.explain()}")
    if not done.stdout.endswith(b"\n") or not done.stdout.strip():
        what = "is cut" if done.stdout.strip() else "is empty"
        raise ToolError(f"{SCRIPT} of this tree ended well, but its answer {what}: {done.explain()}")
    return done.stdout.decode("utf-8", "replace")


def stable(patch: bytes) -> bytes:
    """Return a mail without the lines that depend only on the commits below it."""
    kept = [
        line for line in patch.split(b"\n") if not re.match(rb"From [0-9a-f]{40} |index [0-9a-f]+\.\.|Date: ", line)
    ]
    return b"\n".join(kept)


def named_folders(repo: Repo, base: str, files: Iterable[str]) -> set[str]:
    """Return the folders above some files that a pattern of MAINTAINERS names without a slash at its end.

    The script looks whether such a pattern is a folder: then it is for all below it.
    """
    names = sorted(above(files) & {pattern for s in sections_of(repo, base) for pattern in (*s.files, *s.excluded)})
    there = repo.things(f"{base}:{name}" for name in names) if names else {}
    return {name for name in names if (found := there.get(f"{base}:{name}")) and found.kind == "tree"}


def above(files: Iterable[str]) -> set[str]:
    """Return the folders above some files."""
    return {str(folder) for file in files for folder in PurePosixPath(file).parents}


def named_in(patch: bytes) -> set[str]:
    """Return what may be a file to the script, which looks for them in the changelog as well."""
    words = [word for line in FILE.findall(patch) for word in line.decode("utf-8", "surrogateescape").split()[1:]]
    return {name for word in words for name in (word, word.partition("/")[2]) if name}


def export(files: Mapping[str, bytes], folders: Iterable[str], place: Path) -> None:
    """Write the script's input to `place`, with empty files and folders where it only tests that one exists."""
    place.mkdir()
    write_files(place, files)
    for name in folders:
        (place / name).mkdir(parents=True, exist_ok=True)
    write_landmarks(place)
