"""Fetching a kernel: a Debian archive of the test's own on the disk, real apt, real dpkg, real git."""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import debarchive
import pytest

from patchbot.errors import ToolError, UserError
from patchbot.git import kernels
from patchbot.git.debian import Package, derive_sources, package_for
from patchbot.git.kernels import fetch, imported, path_inside
from patchbot.git.repo import Repo
from patchbot.run import piped, run

needs_apt = pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt-get (Debian)")
MAKEFILE = b"VERSION = %d\nPATCHLEVEL = %d\nSUBLEVEL = %d\nEXTRAVERSION =\n"
DATE = 1767225600


def source_tar(files: Mapping[str, bytes | str], top: str = "linux-source-7.99") -> bytes:
    """Return a kernel archive; a str is a symbolic link's target, scripts are executable."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        folder = tarfile.TarInfo(top)
        folder.type, folder.mtime = tarfile.DIRTYPE, DATE - 5
        tar.addfile(folder)
        for name, data in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.mtime, member.mode = DATE, 0o755 if name.startswith("scripts/") else 0o644
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                tar.addfile(member)
            else:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return lzma.compress(raw.getvalue())


def source_deb(folder: Path, version: str, archive: bytes) -> Path:
    """Build a linux-source package."""
    name = "linux-source-" + ".".join(version.split("~")[0].split("-")[0].split(".")[:2])
    return debarchive.build(folder, name, version, {f"usr/src/{name}.tar.xz": archive})


def kernel_files(version: str) -> dict[str, bytes | str]:
    numbers = [int(n) for n in version.split("-")[0].split("~")[0].split(".")] + [0]
    return {
        "scripts/run.sh": b"#!/bin/sh\n",
        "Makefile": MAKEFILE % tuple(numbers[:3]),
        'odd "name" \u00e9.c': b"int a; /* \xe9 */\n",
        "include/link": "../Makefile",
        "empty": b"",
    }


Publish = Callable[[str, list[str]], None]


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, Publish]:
    """An archive on the disk: its apt configuration, and a function that fills a suite with kernels."""
    root = tmp_path / "archive"
    etc = tmp_path / "etc"
    debarchive.configure(etc, root)

    def publish(suite: str, versions: list[str]) -> None:
        debs = [source_deb(tmp_path / "build", v, source_tar(kernel_files(v))) for v in versions]
        debarchive.publish(root, suite, debs)

    return etc, publish


@needs_apt
def test_fetch_takes_the_newest_release_of_all_suites(archive: tuple[Path, Publish], tmp_path: Path) -> None:
    etc, publish = archive
    publish("trixie", ["6.12.9-1"])
    publish("trixie-backports", ["7.99.4-1~bpo13+1"])
    publish("experimental", ["7.100~rc2-1~exp1"])
    said: list[str] = []
    kernel = fetch(None, tmp_path / "cache", said.append, etc=etc)
    assert (kernel.version, kernel.tag) == ("7.99.4", "debian/7.99.4-1_bpo13+1")
    repo = Repo.open(kernel.repo)
    assert repo.resolve(kernel.tag) == kernel.commit
    modes = {path: mode for path, (mode, _) in repo.ls(kernel.commit).items()}
    assert modes == {
        "Makefile": "100644",
        "empty": "100644",
        "include/link": "120000",
        'odd "name" \u00e9.c': "100644",
        "scripts/run.sh": "100755",
    }
    assert repo.read(kernel.commit, 'odd "name" \u00e9.c') == b"int a; /* \xe9 */\n"
    assert repo.committer_date(kernel.commit) == (DATE, "+0000")
    assert not list((tmp_path / "cache").glob("import-*"))
    assert not list((tmp_path / "cache").rglob("*.deb"))
    assert any("downloading linux-source-7.99" in line for line in said)


@needs_apt
def test_the_same_package_gives_the_same_commit_elsewhere(archive: tuple[Path, Publish], tmp_path: Path) -> None:
    etc, publish = archive
    publish("sid", ["7.99.1-1", "7.98.2-1"])
    first = fetch("7.99", tmp_path / "one", print, etc=etc)
    fetch("7.98", tmp_path / "two", print, etc=etc)  # objects of another version there do not matter
    second = fetch("7.99", tmp_path / "two", print, etc=etc)
    assert first.commit == second.commit
    assert [k.version for k in imported(tmp_path / "two")] == ["7.99.1", "7.98.2"]
    assert run(["git", f"--git-dir={second.repo}", "fsck", "--strict"]).stdout == b""


@needs_apt
def test_a_kernel_in_the_cache_needs_no_mirror(archive: tuple[Path, Publish], tmp_path: Path) -> None:
    etc, publish = archive
    publish("trixie", ["7.99.1-1"])
    first = fetch("7.99", tmp_path / "cache", print, etc=etc)
    shutil.rmtree(etc)
    for version in (None, "7.99", "v7.99.1", "7.99.1-1"):
        assert fetch(version, tmp_path / "cache", pytest.fail, etc=etc) == first
    with pytest.raises(UserError, match="no Debian archive"):
        fetch("7.9", tmp_path / "cache", print, etc=etc)


@needs_apt
def test_a_version_that_is_gone_is_told(archive: tuple[Path, Publish], tmp_path: Path) -> None:
    etc, publish = archive
    publish("trixie", ["7.99.3-1"])
    said: list[str] = []
    assert fetch("7.99.2", tmp_path / "cache", said.append, etc=etc).version == "7.99.3"
    assert [line for line in said if line.startswith("7.99.2 is gone, using linux-source-7.99 7.99.3-1")]


@needs_apt
def test_an_archive_without_kernels_says_where_it_looked(archive: tuple[Path, Publish], tmp_path: Path) -> None:
    etc, publish = archive
    publish("trixie", [])
    with pytest.raises(ToolError, match=r"no linux-source package; the sources it tried are in .*/apt/sources"):
        fetch(None, tmp_path / "cache", print, etc=etc)
    assert imported(tmp_path / "cache") == []


@needs_apt
def test_too_little_disk_is_told_first(
    archive: tuple[Path, Publish], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc, publish = archive
    publish("trixie", ["7.99.3-1"])
    monkeypatch.setattr(kernels, "SPACE", 1e15)
    with pytest.raises(UserError, match=r"7\.99\.3-1 needs \d+ MB in .*cache"):
        fetch(None, tmp_path / "cache", print, etc=etc)


def broken_import(tmp_path: Path, archive: bytes) -> Repo:
    """Import a bad archive, and check that nothing of it can be seen."""
    deb = source_deb(tmp_path / "build", "7.99.1-1", archive)
    repo = Repo.create(tmp_path / "linux.git")
    try:
        kernels.import_package(deb, Package("linux-source-7.99", "7.99.1-1", 1), repo, tmp_path / "scratch.git")
    finally:
        assert repo.refs("refs/") == {}
        assert not list((repo.objects / "pack").glob("*"))
    return repo


@needs_apt
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "a/.git/config", ".GIT/hooks/x"])
def test_an_archive_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match="leads out of the kernel's folder"):
        broken_import(tmp_path, source_tar({"Makefile": MAKEFILE % (7, 99, 1), name: b"x"}))


@needs_apt
def test_a_truncated_archive_leaves_nothing(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"Makefile": MAKEFILE % (7, 99, 1), "big": bytes(range(256)) * 4096}
    whole = source_tar(files)
    with pytest.raises(ToolError, match="is damaged"):
        broken_import(tmp_path, whole[: len(whole) // 2])


@needs_apt
def test_an_archive_that_is_no_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a kernel"):
        broken_import(tmp_path, source_tar({"README": b"hello\n"}))


def test_piped_reads_and_feeds_more_than_a_pipe_holds(tmp_path: Path) -> None:
    with piped(["head", "-c", "300000", "/dev/zero"]) as out:
        assert out.read(10) == bytes(10)
    with piped(["tee", str(tmp_path / "copy")], feed=True) as into:
        into.write(b"x" * 300_000)
    assert (tmp_path / "copy").stat().st_size == 300_000


def test_piped_tells_of_the_program_that_failed_not_of_what_that_caused() -> None:
    with (
        pytest.raises(ToolError, match="exit code 3\n  no room"),
        piped(["sh", "-c", "echo no room >&2; exit 3"]) as out,
    ):
        raise ValueError(out.read())
    with (
        pytest.raises(ToolError, match="exit code 4"),
        piped(["sh", "-c", "exit 4"], feed=True) as into,
    ):
        for _ in range(1000):
            into.write(bytes(100_000))


def test_piped_kills_what_its_caller_gives_up() -> None:
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), piped(["sh", "-c", "sleep 60 & sleep 60"]):
        raise KeyboardInterrupt
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["/etc/passwd", "a//b", "a/..", "..", "top/.git"])
def test_inside_refuses(name: str) -> None:
    with pytest.raises(ToolError):
        path_inside(name)


def test_inside_strips_the_top_folder() -> None:
    assert [path_inside(n) for n in ("top", "./top", "top/a", "./top/a/b.c")] == [None, None, "a", "a/b.c"]


THERE = [
    Package("linux-source-7.4", "7.4~rc2-1~exp1", 1),
    Package("linux-source-7.3", "7.3.4-1~bpo13+1", 1),
    Package("linux-source-7.3", "7.3.3-1", 1),
    Package("linux-source-6.12", "6.12.107-1", 1),
]


@pytest.mark.parametrize(
    ("asked", "taken", "told"),
    [
        (None, "7.3.4-1~bpo13+1", ""),
        ("7.3", "7.3.4-1~bpo13+1", ""),
        ("v7.3", "7.3.4-1~bpo13+1", ""),
        ("7.3.3", "7.3.3-1", ""),
        ("7.3.3-1", "7.3.3-1", ""),
        ("7", "7.3.4-1~bpo13+1", ""),
        ("6.12", "6.12.107-1", ""),
        ("7.4-rc2", "7.4~rc2-1~exp1", ""),
        ("7.4", "7.4~rc2-1~exp1", "only a release candidate"),
        ("7.3.1", "7.3.4-1~bpo13+1", "7.3.1 is gone, using"),
        ("7.3.4-9", "7.3.4-1~bpo13+1", "7.3.4-9 is gone, using"),
        ("6.1", "7.3.4-1~bpo13+1", "6.1 is gone, and so is its series"),
    ],
)
def test_choose(asked: str | None, taken: str, told: str) -> None:
    package, remark = package_for(THERE, asked)
    assert package.version == taken
    assert (told in remark) if told else remark == ""


def test_choose_refuses_what_is_no_version() -> None:
    with pytest.raises(UserError, match=r"'newest' is not a kernel version; there are 7\.4~rc2-1~exp1, "):
        package_for(THERE, "newest")


def test_sources_of_the_one_line_kind_keep_their_options(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb http://x.example.org/debian sid main\n"
        "deb http://security.example.org/debian-security bookworm-security main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example.org/debian bookworm main contrib # mine\n"
    )
    text = derive_sources(tmp_path)["list"].splitlines()
    assert text[0] == "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example.org/debian bookworm main"
    assert "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example.org/debian trixie-backports main" in text
    assert not any("security" in line for line in text)


def test_sources_of_the_deb822_kind_keep_key_and_mirror(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/a.sources").write_text(
        "Types: deb\nURIs: http://other.example.org/\nSuites: stable\nComponents: extra\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example.org/\nSuites: stable\nComponents: main\n\n"
        "Types: deb deb-src\n# a comment\nURIs: http://mirror.example.org/debian\nSuites: trixie trixie-updates\n"
        "Components: main non-free\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )
    text = derive_sources(tmp_path)["sources"]
    assert "uris: http://mirror.example.org/debian\n" in text
    assert "types: deb\n" in text
    assert "components: main\n" in text
    assert "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n" in text
    suites = next(line for line in text.splitlines() if line.startswith("suites:")).split()[1:]
    assert {"trixie", "trixie-backports", "sid", "experimental"} <= set(suites)
    assert "trixie-updates" not in suites


def test_a_machine_without_debian_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://archive.example.org/ubuntu noble main\n")
    with pytest.raises(UserError, match="--kernel PATH"):
        derive_sources(tmp_path)


def test_without_apt_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"apt-get is not installed.*--kernel PATH"):
        kernels.available(tmp_path, print)
