"""Get a newer pahole than the machine's suite has, beside it: kernels ask for one sooner than distributions have it.

Linux 7.0 to 7.2 lose functions with a pahole before 1.26 (their Documentation/process/changes.rst). It comes
from the Debian suite nearest to the machine's own that has one, with the libraries that it needs, and is unpacked
into a folder; nothing is installed. `make pahole` tells what to configure.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from functools import cmp_to_key
from pathlib import Path

from patchbot.errors import PatchbotError, ToolError
from patchbot.git.debian import Apt, Package, Say, by_version
from patchbot.run import run
from patchbot.terminal import complain, write

LEAST = (1, 26)
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


def choose(madison: str) -> tuple[Package, str]:
    """Return the oldest pahole that is new enough, and its suite, of what `apt-cache madison pahole` says."""
    found: list[tuple[Package, str]] = []
    for line in madison.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages") and (suite := re.search(r" (\S+)/main ", fields[2])):
            package = Package(fields[0], fields[1], 0)
            if package.numbers[:2] >= LEAST:
                found.append((package, suite[1]))
    if not found:
        raise ToolError(f"no suite of Debian that can be reached has pahole {'.'.join(map(str, LEAST))} or newer")
    return min(found, key=lambda row: cmp_to_key(by_version)(row[0]))


def fetch(folder: Path, say: Say, etc: Path = Path("/etc/apt")) -> Path:
    """Unpack a pahole into `folder` and return the program; raise ToolError if it cannot be had or does not start."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    apt = Apt(folder / "apt", etc)
    apt.update(say)
    package, suite = choose(apt.ask("madison", "pahole"))
    say(f"getting pahole {package.version} of {suite}")
    # As if nothing were installed: its libraries are newer than the machine's.
    status = folder / "status"
    status.touch()
    options = ["-o", f"Dir::State::status={status}", "-o", "Debug::NoLocking=1", "-o", "APT::Install-Recommends=0"]
    apt_get: list[str | Path] = ["apt-get", "-c", apt.conf, *options, "-q", "-t", suite]
    plan = run([*apt_get, "--simulate", "install", f"pahole={package.version}"]).stdout.decode()
    needed = [f"{name}={version}" for name, version in re.findall(r"^Inst (\S+) \((\S+)", plan, re.M)]
    debs, root = folder / "debs", folder / "root"
    for old in (debs, root):
        shutil.rmtree(old, ignore_errors=True)
    debs.mkdir()
    run([*apt_get, "download", *needed], cwd=debs, timeout=900)
    for deb in sorted(debs.iterdir()):
        run(["dpkg-deb", "-x", deb, root])
    for done in (debs, apt.folder):
        shutil.rmtree(done)
    program = folder / "pahole"
    # Not the machine's own loader: it is as old as the machine's libraries.
    argv = shlex.join([str(root / LOADER), "--library-path", str(root / LIBRARIES), str(root / "usr/bin/pahole")])
    program.write_text(f'#!/bin/sh\nexec {argv} "$@"\n')
    program.chmod(0o755)
    said = run([program, "--version"]).stdout.decode().strip()
    if said != f"v{package.upstream}":
        raise ToolError(f"{program} says that it is {said!r}, not v{package.upstream}")
    return program


def main() -> int:
    """Get it into the folder that is the only argument."""
    if len(sys.argv) != 2:
        complain("python tests/fetch_pahole.py FOLDER", "usage")
        return 2
    try:
        program = fetch(Path(sys.argv[1]), lambda text: complain(text, "pahole"))
    except PatchbotError as error:
        complain(str(error), "pahole")
        return error.exit_code
    write(f'[checks.build]\npahole = "{program}"\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
