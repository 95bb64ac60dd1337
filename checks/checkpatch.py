"""The target tree's own scripts/checkpatch.pl has nothing to say, and subject and changelog have the required form.

An ERROR of the script is FAIL, a WARNING or CHECK is WARN. It runs in a small folder that looks like the tree: it has
the files that the script reads, those that the patch touches, and only the obsolete sections of MAINTAINERS, because
the script asks get_maintainer.pl for nothing else (one run a file, 0.4 s with all of MAINTAINERS). The only part that
does not run is spdxcheck.py, which needs a checkout of the whole tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from patchbot import temporary
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.config import fit
from patchbot.errors import MissingTool, ToolError
from patchbot.git.diffs import mail_parts, read_diff
from patchbot.git.export import kept_export, tree_files, write_files, write_landmarks
from patchbot.git.objects import Thing
from patchbot.mail.wording import BETTER, PLACEHOLDER, PREFIX, says_nothing
from patchbot.model import Finding, Status
from patchbot.run import Completed, run, which
from patchbot.sandbox import borrowed
from patchbot.series.maintainers import sections
from patchbot.series.render import MOST

NEEDS = {"perl": "perl", "git": "git"}

SCRIPT = "scripts/checkpatch.pl"
READ = (SCRIPT, "scripts/spelling.txt", "scripts/const_structs.checkpatch", ".checkpatch.conf")
MAINTAINER = "scripts/get_maintainer.pl"
BINDINGS = "Documentation/devicetree/bindings"
LEVELS = {"ERROR": Status.FAIL, "WARNING": Status.WARN, "CHECK": Status.WARN}

#: The script's last line of results; advice may follow it.
TOTAL = re.compile(
    rb"^total: (\d{1,9}) errors, (\d{1,9}) warnings,(?: (\d{1,9}) checks,)? (\d{1,9}) lines checked$", re.M
)
#: No file of a tree has a longer path or is deeper.
LONGEST, DEEPEST = 4096, 32

#: Words in the mail that make the script read more of the tree than the files of the patch.
ASM_INCLUDE = re.compile(rb"^[+ ][ \t]*#[ \t]*include[ \t]*<asm/([^>\n]*)\.h>", re.M)
COMPATIBLE = re.compile(rb"^\+.*compatible\s*=\s*\"", re.M)
CAMEL = re.compile(rb"^\+.*(?:[A-Z][a-z]|[a-z][A-Z])", re.M)


@dataclass(frozen=True)
class Options:
    """[checks.checkpatch]."""

    strict: bool = True
    max_line_length: Annotated[int, Meta(ge=1)] | None = None


OPTIONS = Options


@dataclass(frozen=True)
class Input:
    """All that a run of the script depends on besides the mail; `things` are git's answers by name."""

    things: Mapping[str, Thing | None]
    options: tuple[str, ...]

    def key(self, mail: bytes) -> str:
        """Return the content key: the mail without what depends on the commits below it, and the script's input."""
        told = re.sub(rb"^(?:From [0-9a-f]{40} .*|Date: .*)\n", b"", mail, flags=re.M)
        seen = sorted((name.split(":", 1)[-1], thing.oid if thing else "") for name, thing in self.things.items())
        return hashlib.sha256(json.dumps([self.options, seen]).encode() + told).hexdigest()


def key(subject: Subject, item: Item) -> str:
    """Return the script's input for a patch."""
    mail = subject.mail(item)
    return gather(subject, item, mail).key(mail)


def check(subject: Subject, item: Item) -> Outcome:
    """Run the script on one mail and judge its subject and changelog."""
    mail = subject.mail(item)
    inputs = gather(subject, item, mail)
    if inputs.things[f"{subject.base}:{SCRIPT}"] is None:
        return Outcome(Status.SKIP, reason=f"{subject.base[:12]} has no {SCRIPT}")
    log = subject.log("checkpatch", item)
    findings = locate(run_script(subject, item, mail, inputs, log), mail)
    findings += judge_message(item.subject, changelog(mail))
    options = " ".join(inputs.options)
    reproduce = f"git format-patch --stdout -1 {item.commit[:12]} | {SCRIPT} {options} -"
    return Outcome.of(findings, examined=1, log=log, reproduce=reproduce)


def gather(subject: Subject, item: Item, mail: bytes) -> Input:
    """Find out what a run on this mail will read."""
    given = fit("patchbot.toml", "checks.checkpatch", subject.options, Options)
    options = ["--show-types"] + (["--strict"] if given.strict else [])
    # The person signs off in the end; a sign-off that exists already must be right.
    options += [] if re.search(rb"^Signed-off-by:", mail, re.M | re.I) else ["--no-signoff"]
    options += [f"--max-line-length={given.max_line_length}"] if given.max_line_length else []
    base, before = subject.base, item.parent_tree
    names = [f"{base}:{path}" for path in (*READ, MAINTAINER, "MAINTAINERS")]
    names += [f"{tree}:{path}" for path in item.files for tree in (before, item.tree)]
    names += [f"{before}:include/linux/{m.decode('utf-8', 'replace')}.h" for m in ASM_INCLUDE.findall(mail)]
    names += [f"{base}:{path}" for path in absolute_paths(mail)]
    names += [f"{item.tree}:{BINDINGS}"] if COMPATIBLE.search(mail) else []
    names += [f"{before}:include"] if CAMEL.search(mail) else []
    names += [f"{oid}^{{commit}}" for oid in re.findall(r"\b[0-9a-f]{5,40}\b", changelog(mail).lower())]
    return Input(subject.scratch.things(names), tuple(options))


def absolute_paths(mail: bytes) -> list[str]:
    """Return the ends of absolute paths in a changelog; they must not be files of the tree."""
    ends = []
    for path in re.findall(r"(?:^|\s)(/\S*)", changelog(mail)):
        parts = re.sub(r"(?::\d{1,9}){1,3}:?$", "", path[:LONGEST]).split("/")[1:][-DEEPEST:]
        ends += ["/".join(parts[at:]) for at in range(len(parts)) if all(parts[at:])]
    return [end for end in ends if ".." not in end.split("/")]


def run_script(subject: Subject, item: Item, mail: bytes, inputs: Input, log: Path) -> list[Finding]:
    """Run the script, and again with all of include/ if it complains about CamelCase that may be known there."""
    perl = which("perl", "perl")
    things = {name: thing for name, thing in inputs.things.items() if thing and thing.kind == "blob"}
    read = subject.scratch.blobs(thing.oid for thing in things.values())
    blobs = {name: data for name, (_, data) in zip(things, read, strict=True)}
    with temporary.folder("checkpatch") as place:
        # The file before the patch; the one after it only if it is new.
        files = {n.split(":", 1)[1]: blobs[n] for n in sorted(blobs, key=lambda n: not n.startswith(item.tree))}
        obsolete = obsolete_sections(files.pop("MAINTAINERS", b""))
        script = files.pop(MAINTAINER, b"")
        if obsolete:
            files |= {"MAINTAINERS": obsolete, MAINTAINER: script}
        bindings = object_id(inputs, item.tree, BINDINGS)
        if bindings:
            kept = kept_export(
                subject.work, [bindings, BINDINGS], partial(tree_files, subject.scratch, item.tree, BINDINGS)
            )
            files = {path: data for path, data in files.items() if not path.startswith(f"{BINDINGS}/")}
            (place / BINDINGS).parent.mkdir(parents=True)
            os.symlink(kept / BINDINGS, place / BINDINGS)
        write_files(place, files)
        write_landmarks(place)
        argv = [perl, SCRIPT, *inputs.options]
        # HOME: ~/.checkpatch.conf would make the result depend on who asks. GIT_DIR: commit ids are looked up.
        env = {"HOME": str(place), "CHECKPATCH_CONFIG_DIR": "", "PERL5LIB": "", "PERL5OPT": ""}
        reads = [subject.work / "export", subject.scratch.path, subject.repo.common_dir / "shallow"]
        reads += borrowed(subject.repo.objects)
        inside = subject.sandbox.around(place, [place], reads, [perl, "git"])
        done = run([*argv, "-"], cwd=place, env=subject.scratch.env | env, stdin=mail, check=False, inside=inside)
        temporary.replace(log, done.stdout + done.stderr)
        if b"Can't locate" in done.stderr:
            raise MissingTool(f"perl lacks its standard modules; Debian has them in the package perl\n{done.explain()}")
        findings = told(done, mail)
        include = object_id(inputs, item.parent_tree, "include")
        if include and any(f.type == "CAMELCASE" for f in findings):
            headers = partial(tree_files, subject.scratch, item.parent_tree, "include", ".h")
            root = kept_export(subject.work, [include, "include"], headers)
            inside = subject.sandbox.around(place, [place], [root], [perl])
            again = run([*argv, f"--root={root}", "-"], cwd=place, env=env, stdin=mail, check=False, inside=inside)
            camel = {f for f in told(again, mail) if f.type == "CAMELCASE"}
            findings = [f for f in findings if f.type != "CAMELCASE" or f in camel]
    return findings


def object_id(inputs: Input, tree: str, path: str) -> str | None:
    """Return the id of a file or folder in the input, None if it does not exist or was not asked for."""
    thing = inputs.things.get(f"{tree}:{path}")
    return thing.oid if thing else None


def obsolete_sections(text: bytes) -> bytes:
    """Return the sections of MAINTAINERS with an obsolete status: title, status and patterns."""
    rows = []
    for section in sections(text):
        if "obsolete" in section.status.lower():
            tags = {"S": (section.status,), "F": section.files, "X": section.excluded}
            tags |= {"N": section.regexes, "K": section.keywords}
            rows += [section.name, *(f"{tag}:\t{value}" for tag, values in tags.items() for value in values), ""]
    return "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape")


def told(done: Completed, mail: bytes) -> list[Finding]:
    """Return the findings of a run of the script; raise ToolError if its exit code contradicts its output."""
    if done.killed:
        raise ToolError(f"{SCRIPT} did not finish: {done.explain()}")
    findings = parse(done.stdout)
    if done.returncode != bool(findings):
        counted = f"counts {len(findings)} problems"
        raise ToolError(f"{SCRIPT} {counted}, which its exit code contradicts: {done.explain()}")
    total = TOTAL.findall(done.stdout)[-1]
    if not int(total[3]) and any(row.kind == "@" for row in read_diff(mail_parts(text_of(mail))[2])):
        raise ToolError(f"{SCRIPT} says that it checked no line, but the patch has some")
    return findings


def parse(output: bytes) -> list[Finding]:
    """Return the findings in the script's output; raise ToolError if it is not complete or was misread."""
    text = output.decode("utf-8", "surrogateescape")
    *_, total = [None, *TOTAL.finditer(output)]  # a quoted changelog may hold another one
    if total is None:
        raise ToolError(f"{SCRIPT} did not finish: {text.strip()[-400:] or 'it printed nothing'}")
    if b"\0" in output or not output.endswith(b"\n"):
        raise ToolError(f"{SCRIPT} did not finish: its output is truncated or holds NUL bytes")
    said = output[: total.start()].decode("utf-8", "surrogateescape")
    findings = list(blocks(said.split("\n")))
    expected = sum(int(n or 0) for n in total.groups()[:3])
    if len(findings) != expected:
        raise ToolError(f"{SCRIPT} counts {expected} problems, patchbot reads {len(findings)}; please report this")
    return findings


def blocks(lines: list[str]) -> Iterator[Finding]:
    """Yield a finding for each block: `LEVEL:TYPE: message`, then maybe `#line: FILE: path:line:` and the source."""
    at = 0
    while at < len(lines):
        head = re.match(r"(ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)", lines[at])
        # Quoted source follows its `#` line directly, so only a line after a blank one starts a block.
        if head is None or (at > 0 and lines[at - 1]):
            at += 1
            continue
        message, place, source = [head[3]], None, ""
        at += 1
        while at < len(lines) and lines[at]:
            place = re.match(r"#(\d+): ?(?:FILE: (.+):(\d+):)?$", lines[at])
            if place:
                source = lines[at + 1] if at + 1 < len(lines) else ""
                break
            message.append(lines[at].strip())
            at += 1
        said = " ".join(message)
        if place is None:
            yield Finding(LEVELS[head[1]], said, None, None, head[2])
        elif place[2]:
            yield Finding(LEVELS[head[1]], said, place[2], int(place[3]), head[2])
        else:
            # Outside a hunk: the line of the mail, which `locate` turns into a file or the changelog.
            yield Finding(LEVELS[head[1]], f"{said}: {source.strip()!r}", "", int(place[1]), head[2])


def locate(findings: list[Finding], mail: bytes) -> list[Finding]:
    """Return findings with lines of the mail replaced by the file whose diff they are in, None for the changelog."""
    log, below, diff = mail_parts(text_of(mail))
    files = [None] * (log + below).count("\n") + [row.path for row in read_diff(diff)]
    places = dict(enumerate(files, 1))
    return [replace(f, file=places.get(f.line or 0), line=None) if f.file == "" else f for f in findings]


def text_of(mail: bytes) -> str:
    """Return a mail as text that can be turned back into its bytes."""
    return mail.decode("utf-8", "surrogateescape")


def changelog(mail: bytes) -> str:
    """Return the body of a mail's commit message, without an in-body From."""
    body = mail_parts(text_of(mail).replace("\r\n", "\n").partition("\n\n")[2])[0]
    return re.sub(r"\AFrom: .*\n\n", "", body).strip("\n")


def judge_message(subject: str, body: str) -> list[Finding]:
    """Return the problems of a subject and changelog that the script does not look for."""
    found = []

    def say(status: Status, type_: str, message: str) -> None:
        found.append(Finding(status, message, None, None, type_))

    if len(subject) > MOST:
        say(
            Status.FAIL,
            "SUBJECT_LONG",
            f"the subject has {len(subject)} characters, at most {MOST} are allowed: {subject!r}",
        )
    elif len(subject) > BETTER:
        say(
            Status.WARN,
            "SUBJECT_LONG",
            f"the subject has {len(subject)} characters, at most {BETTER} are better: {subject!r}",
        )
    if not PREFIX.search(subject):
        say(Status.FAIL, "SUBJECT_PREFIX", f"the subject does not start with `subsystem: `: {subject!r}")
    if subject.endswith("."):
        say(Status.WARN, "SUBJECT_PERIOD", f"the subject ends in a period: {subject!r}")
    for word in PLACEHOLDER.findall(f"{subject}\n{body}"):
        say(Status.FAIL, "PLACEHOLDER", f"a placeholder was never filled in: {word}")
    if says_nothing(body.splitlines()):
        say(Status.FAIL, "CHANGELOG_EMPTY", "the changelog is empty; it must say why the change is needed")
    return found
