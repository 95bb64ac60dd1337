"""Read what gcc, clang, sparse, the assembler, objtool, kernel-doc, modpost, ld and make say in a build's log.

Findings are normalised (no line, column, offset or folder of this machine counts in a comparison), because a patch is
judged by the findings that its parent does not have: one that replaces another is new, one that merely moved is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..model import Finding, Status


@dataclass(frozen=True)
class Said:
    """A finding and what make was building then: a path below the output folder, "" if unknown."""

    target: str
    finding: Finding


#: `  CC [M]  net/x.o`: the next lines are about that file. With `make -O` this holds for parallel builds too.
STEP = re.compile(r"^  [A-Z][\w-]*(?: \[\w+\])? +(?P<path>\S+\.(?:o|s|ko|lds|so|a|dbg|symvers)|vmlinux\S*)$")
#: `  CHECK   net/x.c`: a checker looks at the source of an object.
CHECKED = re.compile(r"^  CHECK +(?P<path>\S+)\.c$")
COMPILER = re.compile(
    r"^(?P<file>[^\s:][^:]*):(?:(?P<line>\d+):)?(?:\d+:)? (?:(?P<tool>sparse): )?"
    r"(?P<kind>warning|error|fatal error): (?P<text>.*)$"
)
ASSEMBLER = re.compile(r"^(?P<file>[^\s:][^:]*):(?P<line>\d+): (?P<kind>Warning|Error|Fatal error): (?P<text>.*)$")
KERNEL_DOC = re.compile(r"^(?P<kind>Warning|Error): (?P<file>[^\s:]+):(?P<line>\d+) (?P<text>.*)$")
MODPOST = re.compile(r"^(?P<kind>WARNING|ERROR): (?P<tool>modpost): (?:(?P<file>\S+): )?(?P<text>.*)$")
RESOLVE = re.compile(r"^(?P<kind>WARN|WARNING|FAILED|ERROR):? ?(?P<tool>resolve_btfids|pahole)?:? (?P<text>.*)$")
LINKER = re.compile(
    r"^(?:\S*\bld(?:\.\w+)?: )(?:(?P<file>[^\s:]+):(?:(?P<line>\d+):)?(?:\([^)]*\):)? )?"
    r"(?P<text>undefined reference to .*|.*undefined symbol.*)$"
)
UNDEFINED = re.compile(
    r"^(?P<file>[^\s:]+):(?:(?P<line>\d+):|\([^)]*\):)\s?(?P<text>undefined reference to .*|multiple definition of .*)$"
)
NO_RULE = re.compile(
    r"^make(?:\[\d+\])?: \*\*\* No rule to make target '(?P<target>[^']+)'"
    r"(?:, needed by '(?P<by>[^']+)')?\. *(?:Stop\.)?$"
)
FAILED = re.compile(r"^make(?:\[\d+\])?: \*\*\* \[(?:[^\]]*: )?(?P<target>[^\]:\s]+)\] (?P<text>Error \d+|[A-Z].*)$")
KCONFIG = re.compile(r"^(?P<kind>WARNING): (?P<text>unmet direct dependencies detected for (?P<symbol>\w+))$")

#: Tried in this order; the second item is the finding's type, unless the line itself names a better one.
FORMS = (
    (COMPILER, ""),
    (ASSEMBLER, "assembler"),
    (KERNEL_DOC, "kernel-doc"),
    (MODPOST, "modpost"),
    (KCONFIG, "kconfig"),
    (LINKER, "ld"),
    (UNDEFINED, "ld"),
    (RESOLVE, "resolve_btfids"),
)
OPTION = re.compile(r"\[(?:-Werror,)?-W(?:error=)?(?P<option>[\w+=-]+)(?:,-Werror)?\]$")
QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "`": "'"})
#: What differs from build to build although the fault is the same.
NOISE = (
    (re.compile(r"\+0x[0-9a-f]+"), ""),
    (re.compile(r"\b0x[0-9a-f]+\b"), "0x"),
    (re.compile(r"/tmp/[\w.-]+\.(?:s|o)\b"), "{temporary}"),
)
TEMPORARY = re.compile(r"(?:^|/)cc\w+\.s$|^\{standard input\}$|^<inline asm>$|^<command-line>$")
PROGRAMS = ("ld", "cc1", "gcc", "clang", "as", "objtool", "fixdep")
#: What compilers and make say where a part was killed, e.g. for want of memory.
KILLED = re.compile(
    rb"signal terminated program|command failed due to signal|"
    rb"^make(?:\[\d++\])?: \*\*\* \[[^\]\n]*+\] (?:Killed|Terminated|Error 1(?:37|43))$",
    re.M,
)
NOT_NEWS = ("all warnings being treated as errors", "some warnings being treated as errors")


def was_killed(said: bytes) -> bool:
    """Say whether a compiler, or something that make ran, did not end by itself, by what was said."""
    return KILLED.search(said) is not None


def ending(said: str | bytes) -> str:
    """Return the end of what make said."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return "\n".join(text.strip().splitlines()[-6:])


class Growing:
    """A log that a build writes right now: how many objects of the kernel are made, by the lines since this was made.

    What scripts/ and tools/ make is no part of the kernel.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = log.stat().st_size if log.exists() else 0
        self._found = 0

    def objects(self) -> int:
        """Return how many there are by now."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                lines, _, _ = file.read().rpartition(b"\n")
            self._read += len(lines)
            self._found += len(re.findall(rb"(?m)^  (?:CC|AS)(?: \[M\])? +(?!/|scripts/|tools/)\S+\.o$", lines))
        return self._found


def parse(log: str, *, source: str, out: str) -> list[Said]:
    """Return the findings in the log of a build, in order; a line that comes again for the same target counts once.

    `source` and `out` are the absolute paths of the source tree and of the output folder (O=). A line that only says
    that a target failed is a finding (type `make`) unless there is another one about that target.
    """
    found: dict[tuple[str, str], Said] = {}
    failed: list[Said] = []
    target = ""
    for line in log.splitlines():
        line = line.rstrip().translate(QUOTES)
        if step := STEP.match(line):
            target = inside(step["path"], (out, source))
            continue
        if checked := CHECKED.match(line):
            target = inside(checked["path"], (out, source)) + ".o"
            continue
        if match := NO_RULE.match(line):
            path = inside(match["target"], (out, source))
            by = f", which {inside(match['by'], (out, source))} needs" if match["by"] else ""
            said = Said(path, Finding(Status.FAIL, f"make has no rule for {path}{by}", type="no-rule"))
            found.setdefault((said.target, line), said)
            continue
        if match := FAILED.match(line):
            path = inside(match["target"], (out, source))
            failed.append(
                Said(path, Finding(Status.FAIL, f"make could not build {path} ({match['text']})", path, None, "make"))
            )
            continue
        finding = read_line(line, (source, out))
        if finding is not None:
            found.setdefault((target, line), Said(target, finding))
    return [*found.values(), *unexplained(failed, found.values())]


def unexplained(failed: Sequence[Said], found: Iterable[Said]) -> list[Said]:
    """Return the failures that no finding explains and that do not follow from another failure."""
    errors = {said.target for said in found if said.finding.status is Status.FAIL}
    paths = errors | {said.target for said in failed}
    out = []
    for said in dict.fromkeys(failed):
        if said.target in errors or (len(paths) > 1 and not re.search(r"\.\w+$", said.target)):
            continue
        out.append(said)
    return out


def read_line(line: str, roots: Sequence[str]) -> Finding | None:
    """Return the finding in one line of a log, None if it has none."""
    found = next(((match, name) for form, name in FORMS if (match := form.match(line))), None)
    if found is None:
        return None
    match, name = found
    groups = match.groupdict()
    text = groups["text"]
    kind = (groups.get("kind") or "error").lower()
    option = OPTION.search(text)
    if name == "" and groups.get("tool"):
        name = groups["tool"]
    elif option:
        text, name = text[: option.start()].rstrip(), f"-W{option['option']}"
    elif text.startswith("objtool: "):
        text, name = text.removeprefix("objtool: "), "objtool"
    if text.endswith(NOT_NEWS) or (name == "resolve_btfids" and not groups.get("tool")):
        return None
    status = Status.WARN if kind.startswith("warn") else Status.FAIL
    file = inside(groups["file"], roots) if groups.get("file") else None
    if file in PROGRAMS:
        file, name = None, name or str(file)
    if file and TEMPORARY.search(file):
        # The compiler's own temporary file: its line says nothing about the source.
        return Finding(status, normal(text, roots), None, None, name or "error")
    number = int(groups["line"]) if groups.get("line") else None
    return Finding(status, normal(text, roots), file, number, name or kind.replace(" ", "-"))


def normal(text: str, roots: Sequence[str]) -> str:
    """Return a message without the parts that differ from build to build."""
    for root in roots:
        text = text.replace(f"{root.rstrip('/')}/", "")
    for form, plain in NOISE:
        text = form.sub(plain, text)
    return text.strip()


def inside(path: str, roots: Sequence[str]) -> str:
    """Return a path relative to the root that it is in, without leading `./` and `../`."""
    for root in roots:
        root = root.rstrip("/")
        if path.startswith(f"{root}/"):
            return path[len(root) + 1 :]
    return re.sub(r"^(?:\.{1,2}/)+", "", path)
