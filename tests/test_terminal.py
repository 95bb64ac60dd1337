"""What a person sees on a terminal is what is there: nothing from elsewhere steers, hides or reorders it."""

import ast
import io
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from tinytree import TINY, build, commit, patchbot

import patchbot as package
from patchbot.run import run
from patchbot.terminal import Terminal, one_line, seen, visible

#: OSC, CSI, colours, C1, overstriking, direction, zero width, tags, a line separator; markup and emoji codes of rich.
EVIL = "\x1b]0;PWNED\x07\x1b[2J\x1b[35;7mx\u009b2J\x7f\x08\x0b\u202e\u2066\u200b\u200f\ufeff\u2028\u3164\U000e0041"
MARKUP = "[red][link=http://e.org]:skull:"
#: What patchbot itself sends: colours, and what a progress bar needs.
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\r")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold]", "plain [bold]"),
        ("a\tb\nc", "a\tb\nc"),
        ("Jürgen 修复 ❤ é", "Jürgen 修复 ❤ é"),
        ("\x1b[31m\x7f\x9b\r\0", "\\x1b[31m\\x7f\\x9b\\r\\x00"),
        ("\u061c\u200e\u202a\u202e\u2066\u2069", "\\u061c\\u200e\\u202a\\u202e\\u2066\\u2069"),
        ("\u200b\u200d\ufeff\u00ad\u2060\u2028\u2029", "\\u200b\\u200d\\ufeff\\xad\\u2060\\u2028\\u2029"),
        ("\u3164\u115f\u034f\u2800\ufe0f\U000e0101", "\\u3164\\u115f\\u034f\\u2800\\ufe0f\\U000e0101"),
        ("\U000e0041\ue000\U000f0000", "\\U000e0041\\ue000\\U000f0000"),
        ("\udcff\udc9b\ud800", "\\xff\\x9b\\ud800"),
        ("a\u00a0b\u2003c", "a\\xa0b\\u2003c"),
    ],
)
def test_what_is_not_seen_is_spelt_out(text, shown):
    assert visible(text) == shown
    assert visible(shown) == shown
    assert "\n" not in one_line(text)


def test_a_terminal_spells_out_even_what_nobody_cleaned(capsys):
    Terminal(force_terminal=True, width=400).print(EVIL + MARKUP)
    said = OWN.sub("", capsys.readouterr().out).rstrip("\n")
    assert all(map(seen, said))
    assert said.endswith(MARKUP)


def test_no_other_module_writes_to_a_terminal():
    root = Path(package.__file__).parent
    for file in [*root.rglob("*.py"), *(root.parent / "checks").glob("*.py")]:
        if file.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            name = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
            assert name not in {"print", "sys.stdout", "sys.stderr", "Console"}, f"{file}:{node.lineno}: {name}"


def on_terminal(*argv: str | bytes, cwd: Path, **env: str) -> str:
    """Run patchbot on a terminal and return all that the terminal got."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 160))
    surroundings = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    child = subprocess.Popen(
        [sys.executable, "-m", "patchbot.cli", *argv],
        cwd=cwd,
        env={**surroundings, "TERM": "xterm-256color", **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    got = b""
    try:
        while part := os.read(ours, 65536):
            got += part
    except OSError:  # the end of a pty
        pass
    os.close(ours)
    assert child.wait() in (0, 1, 2), got.decode("utf-8", "replace")
    assert b"Traceback" not in got
    return got.decode("utf-8", "surrogateescape")


def hostile(said: str) -> set[str]:
    """Return what steers a terminal and is not patchbot's own."""
    found = {c for c in OWN.sub("", said) if c not in "\n\t" and not seen(c)}
    return found | ({"35;7"} if "\x1b[35;7m" in said else set())


def test_no_command_lets_a_hostile_repository_steer_the_terminal(tmp_path):
    maintainers = (TINY / "MAINTAINERS").read_text().replace("\nM:\t", f"\nM:\t{EVIL}{MARKUP}")
    makefile = (TINY / "Makefile").read_text().replace("EXTRAVERSION =", f"EXTRAVERSION = -{EVIL}{MARKUP}")
    path = tmp_path / f"tree{MARKUP}\u202e"
    build(path, {"MAINTAINERS": maintainers.encode(), "Makefile": makefile.encode()})
    base = commit(path, f"bpf: {EVIL}{MARKUP} base\n")
    allowed = [f"v7{EVIL[-8:]}"]  # git takes what is no ASCII in a ref's name
    run(["git", "tag", *allowed], cwd=path)
    toml = tmp_path / "hostile.toml"
    toml.write_text('[campaigns.kfunc_flags]\n"\\u001b]0;PWNED\\u0007\\u202e' + MARKUP + '" = 1\n')
    reply = tmp_path / "reply.mbox"
    walked: dict[str, str] = {}

    def see(*argv: str | bytes, **env: str) -> str:
        said = on_terminal(*argv, cwd=path, **env)
        walked[" ".join(map(str, argv))] = said
        return said

    see("scan", "-v")
    see("scan", "--anchors")
    see("generate", "-v")
    see("generate", "--dry-run", "--with", "suffixes")
    see("mail", "-o", str(tmp_path / f"out{EVIL.replace('/', '')}"))
    see("freeze", "--message-id", "1@example.org")
    run(["git", "switch", "-q", "patchbot/kfunc_flags"], cwd=path)
    first = run(["git", "log", "-1", "--format=%s"], cwd=path).stdout.decode().strip()
    commit(path, f"{first} {EVIL}{MARKUP}\n\n{EVIL}\n", {f"a{EVIL.replace('/', '')}.c": EVIL.encode()}, amend=True)
    author = {"GIT_AUTHOR_NAME": EVIL.replace("\0", ""), "GIT_AUTHOR_EMAIL": f"{EVIL}@example.org"}
    (path / "more.c").write_text(f"int more; /* {EVIL} */\n")
    run(["git", "add", "-A"], cwd=path)
    run(["git", "commit", "-q", "-m", f"kernel: {EVIL}{MARKUP}\n\nText.\n"], cwd=path, env=author)
    run(["git", "switch", "-q", "master"], cwd=path)
    reply.write_text(
        f"From x\nFrom: {EVIL}{MARKUP} <r@example.org>\nMessage-ID: <2{EVIL[-6:]}@example.org>\n"
        f"In-Reply-To: <1@example.org>\nSubject: Re: {first}\n\nReviewed-by: {EVIL}{MARKUP} <other@example.org>\n"
        f"Acked-by: {EVIL} <r@example.org>\n"
    )
    see("status")
    see("edits")
    see("check", "--only", "applies,checkpatch", "-v")
    see("check", f"{base}..patchbot/kfunc_flags", "--only", "applies")
    see("mail", "-o", str(tmp_path / f"out{EVIL.replace('/', '')}"))
    see("report", "--html", str(tmp_path / f"page{EVIL}.html"))
    see("trailers", "--mbox", str(reply))
    see("trailers", "--mbox", str(tmp_path / EVIL))
    shown = see("diff", "v1", "draft")
    assert "\x1b[32m" in shown
    assert "\\x1b[35;7m" in shown
    assert not re.search(r"\x1b\[[0-9;]*m", see("diff", "v1", "draft", NO_COLOR="1"))
    assert not re.search(r"\x1b\[[0-9;]*m", see("diff", "v1", "draft", "--no-color"))
    see("regenerate", "--onto", base, "-v")
    see("regenerate", "--onto", allowed[0])
    see("scan", "--base", EVIL)
    see("scan", "--base", b"\xff\x9b2J\x1b[2J")
    see("scan", EVIL)
    see(EVIL)
    see("scan", "--kernel", str(tmp_path / EVIL))
    see("generate", "--with", EVIL)
    see("scan", "--config", str(toml))
    see("check", "--only", EVIL)
    see("check", "--patches", EVIL)
    see("diff", EVIL)
    see("campaigns", "-v")
    see("checks")
    see("doctor")
    see("init")
    see("status", "--json")
    assert {command: found for command, said in walked.items() if (found := hostile(said))} == {}
    assert sum("\\u202e" in said for said in walked.values()) > 15


def shell(line: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `patchbot` is this one; every exit code of a pipeline counts."""
    text = f'patchbot() {{ "{sys.executable}" -m patchbot.cli "$@"; }}\nset -o pipefail\n{line}'
    done = subprocess.run(["bash", "-c", text], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "a bug" not in done.stderr
    return done


ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("env", ASCII)
def test_a_stream_without_utf8_gets_what_it_can_show(tmp_path, env):
    path = build(tmp_path / "linux").git_dir.parent
    commit(path, "kernel: J\u00fcrgen \u4fee\u590d " + "long " * 30 + "\n\nBecause.\n", {"x.c": b"int x;\n"})
    done = shell("patchbot check HEAD~1..HEAD --only applies", path, **env)
    assert done.returncode == 0
    assert "J\\xfcrgen \\u4fee\\u590d" in done.stdout
    assert "1 PASS" in done.stdout


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("patchbot scan >/dev/full", 3, "cannot write the result to stdout: No space left on device"),
        ("patchbot scan --json >/dev/full", 3, "cannot write the result to stdout: No space left on device"),
        ("patchbot --help >/dev/full", 3, "cannot write the result to stdout: No space left on device"),
        ("patchbot scan --base nope 2>/dev/full", 2, ""),
        ("patchbot scan --base nope 2>&-", 2, ""),
        ("patchbot scan 2>&1 | true", 3, ""),
        ("patchbot scan >&-", 2, "stdout is closed"),
        ("patchbot generate >&- 2>&- <&-", 2, ""),
        ("patchbot scan <&- 2>&-", 0, ""),
        ("mkdir gone; cd gone; rmdir ../gone; patchbot scan", 2, "the current folder was deleted"),
        ("mkdir gone; cd gone; rmdir ../gone; patchbot --version", 0, ""),
        ("patchbot scan $'--nope\\e[2J\\u202e'", 2, "unrecognized arguments: --nope\\x1b[2J\\u202e"),
        ("patchbot scan --base $'\\xff'", 2, "names no commit"),
    ],
)
def test_how_it_ends_where_streams_and_folders_are_odd(tmp_path, line, code, message):
    path = build(tmp_path / "linux").git_dir.parent
    done = shell(line, path, PYTHONUNBUFFERED="", LC_ALL="C.UTF-8")
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("width", [200, 90, 70, 44])
def test_a_table_keeps_a_place_whole_at_any_width(width: int) -> None:
    place, why = "drivers/hid/bpf/hid_bpf_dispatch.c:43", "the one that the verifier releases"
    out = io.StringIO()
    console = Terminal(file=out, force_terminal=True, width=width, color_system=None)
    console.table(("site", "fate", "reason"), [(place, "change", why)])
    said = out.getvalue()
    assert place in said
    assert " ".join(said.split()).endswith(why)
    assert max(map(len, said.splitlines())) <= width
    out.truncate(0)
    Terminal(file=out, width=width).table(("site", "fate", "reason"), [(place, "change", why), ("a.c:1", "keep", "")])
    rows = out.getvalue().lstrip("\0").splitlines()
    assert rows == [f"{'site':37}  fate    reason", f"{place}  change  {why}", f"{'a.c:1':37}  keep"]


def test_a_long_line_breaks_between_words_and_hangs_on_a_terminal_only():
    place = "tools/testing/selftests/bpf/test_kmods/bpf_test_kfa_invalid.c:92:"
    text = f"note: {place} keeps KF_RCU: it tests the flags of the whole kfunc, which stay supported\n  short\n\nend"
    said = {}
    for terminal, width in ((False, 80), (True, 80), (True, 50), (True, 20)):
        out = io.StringIO()
        Terminal(file=out, width=width, force_terminal=terminal, no_color=True, color_system=None).tell(text)
        said[terminal, width] = out.getvalue()
    assert said[False, 80] == text + "\n"
    assert said[True, 80] == (
        f"note: {place} keeps\n    KF_RCU: it tests the flags of the whole kfunc, which stay supported\n"
        "  short\n\nend\n"
    )
    assert place in said[True, 50], "a place that is longer than the width stays whole"
    assert all(len(line) <= 50 for line in said[True, 50].splitlines() if place not in line)
    assert said[True, 20] == text + "\n", "too narrow for an indent"


def test_an_error_breaks_between_words_on_a_terminal(tmp_path):
    build(tmp_path / "linux")
    commit(tmp_path / "linux", "bpf: base\n")
    said = on_terminal("diff", "no-such-campaign", cwd=tmp_path / "linux", COLUMNS="60")
    rows = [row for row in OWN.sub("", said).splitlines() if row]
    assert len(rows) > 1
    assert rows[0].startswith("patchbot: ")
    assert all(len(row) <= 60 for row in rows)
    assert all(row.startswith("    ") for row in rows[1:])
    piped = patchbot("diff", "no-such-campaign", cwd=tmp_path / "linux", code=2).stderr
    assert " ".join(row.strip() for row in rows) == piped.strip()
