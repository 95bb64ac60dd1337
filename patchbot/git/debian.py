"""Find and download Debian's linux-source packages without touching the system's apt configuration.

A machine's own suite has one or two kernels; the rest are in other suites. Their sources are derived from the
machine's own Debian entry (same mirror, same key), and everything apt writes goes to a private folder, so root is
not needed. apt checks signatures and checksums as it always does.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_string
from functools import cmp_to_key
from pathlib import Path

from ..errors import MissingTool, ToolError, UserError
from ..run import run

Say = Callable[[str], None]

CODENAMES = ("bookworm", "trixie", "forky", "duke", "sid")
ALIASES = ("oldstable", "stable", "testing", "unstable", "experimental")
#: The suites to search besides the machine's own; one that does not exist (yet) costs one request.
SUITES = (*CODENAMES[1:], *(f"{name}-backports" for name in CODENAMES[:-1]), "experimental")
ABSENT = ("does not have a Release file", "File not found", "404", "Some index files failed to download")

CONF = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{folder}/sources";
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
"""


@dataclass(frozen=True)
class Package:
    """A package, usually of a kernel's source: its name, Debian version and download size in bytes."""

    name: str
    version: str
    size: int

    @property
    def upstream(self) -> str:
        """Return the kernel's version: `7.3.4` of `7.3.4-1~bpo13+1`, `7.3-rc7` of `7.3~rc7-1~exp1`."""
        return self.version.split(":", 1)[-1].rsplit("-", 1)[0].replace("~rc", "-rc")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of the kernel's version; for a release candidate, those of the release."""
        return tuple(int(n) for n in re.findall(r"\d+", self.upstream.split("-rc", 1)[0]))

    @property
    def candidate(self) -> bool:
        """Say whether it is a release candidate."""
        return "-rc" in self.upstream

    def __str__(self) -> str:
        """Return `linux-source-7.3 7.3.4-1~bpo13+1`."""
        return f"{self.name} {self.version}"


class Apt:
    """apt with private sources, lists and cache below `folder`; `etc` holds the machine's own sources."""

    def __init__(self, folder: Path, etc: Path = Path("/etc/apt")) -> None:
        for tool in ("apt-get", "apt-cache", "dpkg", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise MissingTool(
                    f"{tool} is not installed, and kernels are only fetched as Debian packages;"
                    " give patchbot a git repository of the kernel with --kernel PATH"
                )
        self.folder = folder.resolve()
        for name in ("sources", "lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for suffix, text in derive_sources(etc).items():
            (self.folder / "sources" / f"debian.{suffix}").write_text(text)
        self.conf = self.folder / "apt.conf"
        self.conf.write_text(CONF.format(folder=self.folder))

    def update(self, say: Say) -> list[str]:
        """Update the lists of every suite that can be reached, and return apt's complaints."""
        done = run(["apt-get", "-c", self.conf, "update"], check=False, timeout=900)
        told = done.stderr.decode("utf-8", "replace").splitlines()
        for line in told:
            if line.startswith(("E:", "W: GPG")) and not any(absent in line for absent in ABSENT):
                say(line)
        return told

    def packages(self, say: Say) -> list[Package]:
        """Return the linux-source packages of every suite that can be reached, newest first; asks the mirror."""
        told = self.update(say)
        names = self.ask("pkgnames", "linux-source-").split()
        wanted = sorted(n for n in names if re.fullmatch(r"linux-source-\d+\.\d+", n))
        rows = self.ask("show", "--all-versions", *wanted) if wanted else ""
        shown = [message_from_string(row) for row in re.split(r"\n\n+", rows.strip()) if row]
        found = {Package(row["Package"], row["Version"], int(row["Size"] or 0)) for row in shown}
        if not found:
            why = "".join(f"\n  {line}" for line in told[-6:])
            raise ToolError(
                f"apt found no linux-source package; the sources it tried are in {self.folder}/sources{why}"
            )
        return sorted(found, key=cmp_to_key(by_version), reverse=True)

    def ask(self, *argv: str) -> str:
        """Return the output of apt-cache."""
        return run(["apt-cache", "-c", self.conf, *argv]).stdout.decode("utf-8", "replace")

    def download(self, package: Package, folder: Path) -> Path:
        """Download a package to an empty `folder` and return its file."""
        run(
            ["apt-get", "-c", self.conf, "-q", "download", f"{package.name}={package.version}"],
            cwd=folder,
            timeout=3600,
        )
        files = list(folder.glob("*.deb"))
        if len(files) != 1:
            raise ToolError(f"apt-get download {package} left {len(files)} files in {folder}, not one")
        return files[0]

    def loaded(self, folder: Path) -> int:
        """Return how many bytes are there by now of what is downloaded to `folder`."""
        files = [*folder.rglob("*"), *(self.folder / "cache/archives/partial").iterdir()]
        return sum(file.stat().st_size for file in files if file.is_file())


def by_version(a: Package, b: Package) -> int:
    """Compare two packages as dpkg orders their versions."""
    if a.version == b.version:
        return (a.name > b.name) - (a.name < b.name)
    lower = run(["dpkg", "--compare-versions", a.version, "lt", b.version], check=False)
    return -1 if lower.returncode == 0 else 1


def package_for(packages: Sequence[Package], version: str | None) -> tuple[Package, str]:
    """Return the package that `version` asks for, and a remark if it is not exactly that.

    `packages` are newest first. `version` is a kernel version or the beginning of one (7.3, 7.3.4, 7.3-rc7), or a
    package's (7.3.4-1); None is the newest release. For one that is gone it is the newest of its series, or of all.
    """
    releases = [p for p in packages if not p.candidate] or list(packages)
    if version is None:
        return releases[0], ""
    wanted = version.removeprefix("v")
    for exact in (p for p in packages if wanted in (p.version, p.upstream)):
        return exact, ""
    there = f"there are {', '.join(p.version for p in packages) or 'none'}"
    if not re.match(r"\d+(\.\d+)*([-~+].*)?$", wanted):
        raise UserError(f"{version!r} is not a kernel version; {there}")
    numbers = tuple(int(n) for n in re.split(r"[-~+]", wanted)[0].split("."))
    for length in range(len(numbers), min(2, len(numbers)) - 1, -1):
        for best in (p for p in (*releases, *packages) if p.numbers[:length] == numbers[:length]):
            if length < len(numbers) or wanted != ".".join(map(str, numbers)):
                return best, f"{version} is gone, using {best}; {there}"
            return best, f"of {version} there is only a release candidate: {best}" if best.candidate else ""
    return releases[0], f"{version} is gone, and so is its series; using {releases[0]}; {there}"


def derive_sources(etc: Path) -> dict[str, str]:
    """Return {file suffix: text} of sources like the machine's own Debian entry, for each suite to look in."""
    files = [etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))]
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        found = map(derive_line, text.split("\n")) if file.suffix == ".list" else iter(())
        if file.suffix == ".sources":
            found = map(derive_stanza, re.split(r"\n[ \t]*\n", text))
        for derived in filter(None, found):
            return {file.suffix[1:]: derived}
    raise UserError(
        f"{etc} names no Debian archive (component main of {', '.join((*CODENAMES, *ALIASES))}), and kernels are"
        " only fetched from one; give patchbot a git repository of the kernel with --kernel PATH"
    )


def derive_stanza(stanza: str) -> str | None:
    """Return a deb822 stanza with the suites replaced, None if it is not Debian's own archive."""
    lines = (line for line in stanza.splitlines() if line.strip() and not line.startswith("#"))
    fields = [(name.lower(), value.rstrip()) for name, value in message_from_string("\n".join(lines)).items()]
    by_name = dict(fields)
    suites = by_name.get("suites", "").split()
    usable = "deb" in by_name.get("types", "").split() and "main" in by_name.get("components", "").split()
    if not usable or by_name.get("enabled", "yes").lower() in ("no", "false", "0", "off") or not debian(suites):
        return None
    replaced = {"types": "deb", "suites": " ".join(suites_like(suites)), "components": "main"}
    kept = [(n, replaced.get(n, v)) for n, v in fields if n != "enabled"]
    return "".join(f"{name}: {value}\n" for name, value in kept)


def derive_line(line: str) -> str | None:
    """Return a line of sources.list once for each suite, None if it is not Debian's own archive."""
    match = re.match(r"deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.split("#", 1)[0].strip())
    if not match or match[2].startswith("cdrom:") or "main" not in match[4].split() or not debian([match[3]]):
        return None
    return "".join(f"deb {match[1] or ''}{match[2]} {suite} main\n" for suite in suites_like([match[3]]))


def debian(suites: Sequence[str]) -> bool:
    """Say whether any of these is a suite of Debian's main archive."""
    return any(suite in (*CODENAMES, *ALIASES) for suite in suites)


def suites_like(suites: Sequence[str]) -> list[str]:
    """Return the machine's own suites, without updates and the like, and the others that may hold kernels."""
    own = [suite for suite in suites if debian([suite])]
    return list(dict.fromkeys([*own, *SUITES]))
