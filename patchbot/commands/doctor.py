"""Say which programs this machine lacks, and their packages.

A check names its programs and headers itself (`NEEDS`); the list here is only for what commands use outside of checks.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from ..build.arches import ARCHES, X86
from ..build.selftests import PROGRAMS
from ..build.toolchain import HOST_HEADERS, has_header
from ..checking.check import Check
from ..checking.programs import available, load
from ..errors import ToolError, UserError
from ..git.plumbing import own_commands
from ..run import run
from ..sandbox import Sandbox
from ..terminal import cell
from .session import Session

EXAMPLES = ("patchbot doctor",)

#: {program: (package, what uses it)}; these commands do not work without it.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "git": ("git", "everything"),
    "perl": ("perl", "mail"),
}
#: {program: (package, what it is good for)}; patchbot works without it.
OPTIONAL: Mapping[str, tuple[str, str]] = {
    "apt-get": ("apt", "demo"),
    "dpkg-deb": ("dpkg", "demo"),
    "bwrap": ("bubblewrap", "the sandbox of the tree's scripts"),
    "spatch": ("coccinelle", "campaigns with a SmPL script"),
    "ccache": ("ccache", "builds that repeat"),
    **{name: (package, "selftests") for name, package in PROGRAMS.items()},
    "git-send-email": ("git-email", "sending the mails"),
    **{f"{a.cross}gcc": (a.package, f"code of {a.folder}") for a in ARCHES.values() if a != X86},
}


@dataclass(frozen=True)
class Tool:
    """A program (or `x.h`, a header): its Debian package, what uses it, its version, None if it is missing."""

    name: str
    package: str
    used_by: tuple[str, ...]
    required: bool
    version: str | None

    @property
    def found(self) -> bool:
        """Say whether this machine has the tool."""
        return self.version is not None


def examine(checks: Iterable[Check], required: Sequence[str]) -> list[Tool]:
    """Return what `checks` and commands use, as found on this machine; the checks in `required` must find all of it."""
    uses: dict[str, list[str]] = {}
    packages: dict[str, str] = {}
    must = set(COMMANDS)
    for table in (COMMANDS, OPTIONAL):
        for name, (package, use) in table.items():
            packages[name] = package
            uses.setdefault(name, []).append(use)
    for check in checks:
        # A check that runs the kernel's make also needs the headers for its host programs.
        needs = {**check.needs, **(HOST_HEADERS if "make" in check.needs else {})}
        for name, package in needs.items():
            packages.setdefault(name, package.split(" or ")[0])
            uses.setdefault(name, []).append(check.name)
            if check.name in required:
                must.add(name)
    with ThreadPoolExecutor(8) as pool:
        versions = dict(zip(packages, pool.map(version_of, packages), strict=True))
    return [
        Tool(name, packages[name], tuple(sorted(set(uses[name]))), name in must, versions[name])
        for name in sorted(packages)
    ]


def version_of(name: str) -> str | None:
    """Return the version of a program, "" if it does not say, None if this machine lacks it; headers have none."""
    if name.endswith(".h"):
        return "" if shutil.which("gcc") and has_header(name) else None
    if shutil.which(name) is None:
        if name.startswith("git-") and shutil.which("git"):  # git keeps its own commands elsewhere
            return "" if (own_commands() / name).exists() else None
        return None
    try:
        done = run([name, "--version"], check=False, timeout=10)
    except ToolError:
        return ""
    said = done.stdout or done.stderr
    match = re.search(rb"(?<!\d)\d++(?:\.\d++)++", said) or re.search(rb"\d+", said)
    return match[0].decode() if match and done.returncode == 0 else ""


def document(tools: Sequence[Tool]) -> dict[str, object]:
    """Return the JSON document of `doctor --json`."""
    rows = [{**asdict(t), "found": t.found, "version": t.version or None, "used_by": list(t.used_by)} for t in tools]
    return {"schema": 1, "tools": rows, "missing": missing(tools), "install": install_command(tools)}


def missing(tools: Sequence[Tool], *, optional: bool = False) -> list[str]:
    """Return the Debian packages of what is required (with `optional`, of everything) and missing, sorted."""
    return sorted({tool.package for tool in tools if not tool.found and (tool.required or optional)})


def install_command(tools: Sequence[Tool]) -> str:
    """Return the shell line that installs what is required and missing, "" if nothing is."""
    packages = missing(tools)
    return f"apt-get install {' '.join(packages)}" if packages else ""


def execute(session: Session) -> int:
    """Run the command."""
    config = session.config.checks
    tools = examine([load(name, config) for name in available(config)], config.run)
    sandbox = Sandbox(session.config.run.sandbox)
    try:
        why = sandbox.lacking()
    except UserError as error:
        why = str(error)
    if session.emit({**document(tools), "sandbox": {"mode": sandbox.mode, "lacking": why or None}}):
        return 0
    lacks = {True: cell("missing", "bold red"), False: cell("missing, optional", "yellow")}
    found = [(t.version or "found") if t.found else lacks[t.required] for t in tools]
    rows = ((t.name, t.package, version, ", ".join(t.used_by)) for t, version in zip(tools, found, strict=True))
    session.out.table(("tool", "Debian package", "version", "used by"), rows)
    session.show(f"\nthe tree's own scripts run {f'without a sandbox: {why}' if why else 'in a sandbox'}")
    command = install_command(tools)
    session.out.say(f"\ninstall what is missing: {command}" if command else "\nnothing is missing")
    return 0
