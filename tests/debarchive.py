"""A Debian archive on the disk, for real apt and real dpkg."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from patchbot.run import run


def configure(etc: Path, root: Path) -> None:
    """Write an apt configuration whose mirror is the archive at `root`."""
    (etc / "sources.list.d").mkdir(parents=True)
    (etc / "sources.list.d/debian.sources").write_text(
        f"# the mirror\nTypes: deb\nURIs: file:{root}\nSuites: trixie trixie-updates\n"
        "Components: main contrib\nTrusted: yes\n"
    )


def build(folder: Path, name: str, version: str, files: Mapping[str, bytes], depends: str = "") -> Path:
    """Build a package; what lies in a folder bin or lib64 can be executed."""
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        (root / path).chmod(0o755 if Path(path).parent.name in ("bin", "lib64") else 0o644)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
        + (f"Depends: {depends}\n" if depends else "")
        + "Maintainer: A Kernel Team <kernel@example.org>\nDescription: a tiny package\n"
    )
    deb = folder / f"{name}_{version}_all.deb"
    run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, deb])
    shutil.rmtree(root)
    return deb


def publish(root: Path, suite: str, debs: Iterable[Path]) -> None:
    """Make a suite of packages, which are moved into the archive."""
    arch = run(["dpkg", "--print-architecture"]).stdout.decode().strip()
    packages = b""
    for made in debs:
        (root / "pool" / suite).mkdir(parents=True, exist_ok=True)
        deb = Path(shutil.move(made, root / "pool" / suite))
        data = deb.read_bytes()
        place = f"Filename: pool/{suite}/{made.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        packages += run(["dpkg-deb", "--field", deb]).stdout + place.encode()
    folder = root / "dists" / suite
    (folder / f"main/binary-{arch}").mkdir(parents=True)
    sums = ""
    for name, data in (("Packages", packages), ("Packages.gz", gzip.compress(packages, mtime=0))):
        (folder / f"main/binary-{arch}/{name}").write_bytes(data)
        sums += f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-{arch}/{name}\n"
    (folder / "Release").write_text(
        f"Suite: {suite}\nCodename: {suite}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: {arch}\n"
        f"Components: main\nSHA256:\n{sums}"
    )
