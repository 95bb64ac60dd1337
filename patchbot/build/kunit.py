"""Find the KUnit suites that a patch touches, build a kernel that has them, and run it in QEMU.

Which option builds a suite is read from the Makefiles, what that needs from Kconfig, and what else the people who wrote
the suite want from the .kunitconfig beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..c.conditions import conditions_at
from ..c.source import Source
from ..c.words import declared
from ..git.repo import Scratch
from ..model import Finding, Status
from ..progress import counted, tick
from .arches import named_symbols
from .images import FIXED, complaints
from .includes import Includes
from .kbuild import Workplace, count_members
from .kconfig import kconfig_of
from .ktap import Ktap, read_ktap, stopped
from .log import Growing, parse
from .options import read_options
from .qemu import CMDLINE, boot
from .units import object_of, switches_of

SUITE = r"^[[:space:]]*kunit_test_(init_section_)?suites?\("
INCLUDE = re.compile(rb'^[ \t]*+#[ \t]*+include[ \t]*+[<"]([^>"\n]++)[>"]', re.M)
NAME = re.compile(rb"[A-Za-z_]\w++")
#: Folders of suites below that of the code.
BELOW = ("test", "tests", "kunit")
#: More folders than that are searched for best with the whole tree.
MANY = 200
#: What every such kernel needs; the last are not the defaults of allnoconfig.
BASE = dict.fromkeys(("64BIT", "PRINTK", "TTY", "SERIAL_8250", "SERIAL_8250_CONSOLE", "KUNIT"), "y")
BASE |= dict.fromkeys(("KUNIT_DEFAULT_ENABLED", "KUNIT_AUTORUN_ENABLED", "RUNTIME_TESTING_MENU"), "y")
AT_BOOT = "kunit.enable=1 kunit.autorun=1 kunit_shutdown=reboot"


@dataclass(frozen=True)
class Tested:
    """What a kernel with suites said: its results, what is wrong, and whether it was built."""

    said: Ktap
    findings: tuple[Finding, ...]
    built: bool


class Kernels(Workplace):
    """The folder of kernels with suites: the work tree is that of all kernels that boot."""

    makes = "kernels"

    def __init__(self, *workplace: Any) -> None:
        super().__init__(*workplace, out="kunit")

    def configured(self, tree: str, log: Path) -> Mapping[str, str]:
        """Check out and configure a tree, and return {symbol: value} of its configuration."""
        self.move(tree)
        tick("configuring the kernel for KUnit")
        self.configure(log)
        return read_options((self.kbuild.out / ".config").read_text("utf-8", "replace"), ".config")

    def test(self, log: Path, serial: Path, timeout: float) -> Tested:
        """Link the kernel of the configured tree and boot it; its serial line is in `serial`.

        Raises ToolError if QEMU cannot run it or if it says more than a log may hold.
        """
        image = self.kbuild.out / "arch/x86/boot/bzImage"
        image.unlink(missing_ok=True)
        objects = 0 if (self.kbuild.out / "vmlinux").exists() else count_members(self.kbuild)
        with counted("building the kernel for KUnit", objects, Growing(log).objects):
            said = self.kbuild.make([*FIXED, "bzImage"], log, timeout=7200)
        if not image.exists():
            rows = parse(said, source=str(self.kbuild.source), out=str(self.kbuild.out))
            found = [row.finding for row in rows if row.finding.status is Status.FAIL]
            return Tested(Ktap(), tuple(found or [Finding(Status.FAIL, complaints(said), type="make")]), False)
        tick("booting the kernel for KUnit")
        machine = boot(image, None, serial, timeout, f"{CMDLINE} {AT_BOOT}")
        ktap = read_ktap(machine.serial)
        found = ktap.findings()
        if why := stopped(ktap, machine.serial, machine.timed_out, timeout):
            found.append(Finding(Status.FAIL, why, type="stopped"))
        return Tested(ktap, tuple(found), True)


def find_suites(scratch: Scratch, old: str, new: str, touched: Sequence[str]) -> dict[str, bytes]:
    """Return {path: text} of the sources of suites in the tree `new` that the files changed since `old` are about.

    Those are changed themselves; or they lie in the folder of a changed file or in test/, tests/ or kunit/ below it,
    and include it or use a name that it declares; or they are called after a changed header of include/ and include it.
    """
    code = [path for path in touched if path.endswith((".c", ".h"))]
    if not code:
        return {}
    folders = sorted({f"{path.rpartition('/')[0]}" for path in code})
    globs = [f"{folder}/{below}*.c" for folder in map(escaped, folders) for below in ("", *(f"{b}/" for b in BELOW))]
    globs += [glob for path in code for glob in called_after(path)]
    pathspecs = [f":(glob){glob.lstrip('/')}" for glob in sorted(set(globs))] if len(folders) < MANY else ["*.c"]
    sources = sorted({path for path, _ in scratch.grep_lines(new, SUITE, pathspecs)})
    if not sources:
        return {}
    texts = scratch.read_many(new, sources)
    sides = [scratch.read_many(tree, scratch.ls(tree, *code)) for tree in (old, new)]
    names = {path: declared(b"\n".join(side.get(path, b"") for side in sides)) for path in code}
    return {s: text for s, text in texts.items() if s in code or any(about(s, text, p, names[p]) for p in names)}


def about(source: str, text: bytes, path: str, names: set[str]) -> bool:
    """Say whether a suite is about a changed file, which declares some names."""
    included = {name.rpartition(b"/")[2].decode("utf-8", "replace") for name in INCLUDE.findall(text)}
    includes = path.rpartition("/")[2] in included
    folder, own = path.rpartition("/")[0], source.rpartition("/")[0]
    if own == folder or own in {f"{folder}/{below}".lstrip("/") for below in BELOW}:
        # MODULE_LICENSE() and the like look like names that both declare.
        used = {word.decode() for word in NAME.findall(INCLUDE.sub(b"", text))} - {
            name for name in declared(text) if name.isupper()
        }
        return includes or bool(names & used)
    return includes and any(PurePosixPath(source).match(glob) for glob in called_after(path))


def called_after(path: str) -> list[str]:
    """Return globs of suites that are called after a header of include/."""
    stem = PurePosixPath(path).stem
    if not path.startswith("include/") or not re.fullmatch(r"[\w-]+", stem):
        return []
    return [f"**/{stem}[-_]kunit*.c", f"**/{stem}[-_]test*.c", f"**/test_{stem}.c"]


def escaped(text: str) -> str:
    """Return text that a glob takes for itself."""
    return re.sub(r"([\[\]*?\\])", r"\\\1", text)


def switches_for(scratch: Scratch, tree: str, suites: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Return the options that build each suite in a tree: its own or, where another file includes it, those of that."""
    files = {path: oid for path, (_, oid) in scratch.ls(tree).items()}
    includes = Includes(scratch)

    def makefile(path: str) -> str:
        return scratch.raw(files[path]).decode("utf-8", "replace") if path in files else ""

    found = {}
    for source in suites:
        symbols, own = switches_of(makefile, source), PurePosixPath(object_of(source))
        listed = any(own.name in makefile(str(own.with_name(rules))).split() for rules in ("Makefile", "Kbuild"))
        for user in () if listed else includes.of(tree, files, source):
            text = scratch.raw(files[user])
            at = text.find(PurePosixPath(source).name.encode())
            symbols += [*sorted(named_symbols(conditions_at(Source(user, text), at))), *switches_of(makefile, user)]
        found[source] = list(dict.fromkeys(symbols))
    return found


def wanted_for(scratch: Scratch, tree: str, switches: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the configuration of a kernel with some suites, each given with its options.

    Raises UserError with file and line where a .kunitconfig holds something else than options.
    """
    files = {path: oid for path, (_, oid) in scratch.ls(tree).items()}
    wanted = dict(BASE)
    for path in sorted({p for source in switches for p in kunitconfigs(source)} & files.keys()):
        wanted |= read_options(scratch.raw(files[path]).decode("utf-8", "replace"), path)
    symbols = dict.fromkeys(sorted({s for each in switches.values() for s in each}), "y")
    return wanted | kconfig_of(scratch, files).wanted(symbols)


def kunitconfigs(source: str) -> list[str]:
    """Return where the configuration that a suite wants may be: beside it, or beside the code that it tests."""
    folder = PurePosixPath(source).parent
    return [str(place / ".kunitconfig") for place in (folder, *([folder.parent] if folder.name in BELOW else []))]
