"""The command line as a person meets it: exit codes, JSON, messages, and a repository that stays as it was."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tinytree import PATCHBOT, TINY, build, commit, patchbot, snapshot

from patchbot import cli
from patchbot.cli import COMMANDS, build_parser, main
from patchbot.commands.session import Given, Session
from patchbot.git.repo import Repo
from patchbot.terminal import Terminal


def objects(repo: Repo) -> list[Path]:
    return sorted((repo.git_dir / "objects").rglob("*"))


def test_without_arguments_it_prints_a_first_page_that_fits_a_terminal(tmp_path):
    lines = patchbot(cwd=tmp_path).stdout.splitlines()
    assert len(lines) < 24
    assert max(len(line) for line in lines) <= 80
    assert all(any(f" {name} " in line for line in lines) for name in COMMANDS)
    assert patchbot("--version", cwd=tmp_path).stdout.startswith("patchbot ")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_explains_each_argument_and_has_examples_that_parse(name, capsys):
    parser = build_parser()
    for line in cli.command(name).EXAMPLES:
        program, *argv = shlex.split(line, comments=True)
        assert (program, parser.parse_args(argv).command) == ("patchbot", name)
    with pytest.raises(SystemExit):
        parser.parse_args([name, "--help"])
    said = capsys.readouterr().out
    assert "examples:" in said
    assert "exit codes:" in said
    (sub,) = (a.choices[name] for a in parser._actions if a.dest == "command")
    assert all(action.help and len(action.help) < 140 for action in sub._actions)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["re"], {"report", "regenerate"}),
        (["scan", "--an"], {"--anchors"}),
        (["report", "--html", "pa"], {"page.html"}),
        (["generate", "--base", "mai"], {"main"}),
    ],
)
def test_bash_completes_commands_options_files_and_revisions_without_patchbot(words, wanted, work):
    (work / "page.html").touch()
    subprocess.run(["git", "branch", "-q", "-f", "main"], cwd=work, check=True)
    script = f"""
{patchbot("--print-completion", "bash", cwd=work).stdout}
PATH=/usr/bin:/bin
COMP_WORDS=(patchbot {shlex.join(words)}) COMP_CWORD={len(words)}
complete -p patchbot >/dev/null && _shtab_patchbot patchbot {words[-1]}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script], cwd=work, capture_output=True, text=True, check=True)
    assert (set(done.stdout.split()), done.stderr) == (wanted, "")


def test_a_check_that_the_command_line_misspells_is_not_looked_for_in_the_file(work, tmp_path):
    (tmp_path / "p.toml").write_text('[checks]\nrun = ["applies"]\n')
    patchbot("generate", cwd=work)
    said = patchbot("check", "--config", str(tmp_path / "p.toml"), "--only", "aplies", cwd=work, code=2).stderr
    assert "patchbot: --only: there is no check 'aplies'; did you mean applies?" in said


def test_completion_of_revisions_is_silent_outside_of_a_repository(tmp_path):
    script = f"""
{patchbot("--print-completion", "bash", cwd=tmp_path).stdout}
COMP_WORDS=(patchbot generate --base ma) COMP_CWORD=3
_shtab_patchbot patchbot ma
"""
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_scan_gives_every_row_a_fate_and_a_reason(work):
    document = json.loads(patchbot("scan", "--json", cwd=work).stdout)
    assert document["schema"] == 1
    assert document["kernel"]["version"].startswith("7.99")
    assert document["counts"]["entries"] == len(document["entries"]) > 20
    assert document["counts"]["sets"] == len(document["sets"])
    assert all(e["fate"] in ("change", "keep") and e["reason"] for e in document["entries"])
    fates = [e["fate"] for e in document["entries"]]
    assert document["counts"]["change"] == fates.count("change") > 0
    assert {e["via"] for e in document["entries"] if e["file"].endswith("xdp.c")} > {None} - {None}


def test_the_whole_path_leaves_the_repository_as_it_was(tiny, work, tmp_path):
    (work / "Makefile").write_text((work / "Makefile").read_text() + "# changed and not committed\n")
    (work / "untracked").write_text("mine\n")
    before = snapshot(tiny)
    first = json.loads(patchbot("generate", "--json", cwd=work).stdout)
    assert first["counts"]["patches"] == len(first["patches"]) > 6
    assert [p["id"] for p in first["patches"]][:5] == ["dynptr", "btf_ids", "btf", "verifier", "docs"]
    assert {s["target"] for s in first["series"]} > {"bpf-next"}
    refs, there = tiny.refs("refs"), objects(tiny)
    second = json.loads(patchbot("generate", "--json", cwd=work).stdout)
    assert second["patches"] == first["patches"]
    assert (tiny.refs("refs"), objects(tiny)) == (refs, there)
    tip = patchbot("generate", "--base", "patchbot/kfunc_flags", cwd=work)
    assert "nothing to do" in tip.stdout
    assert (tiny.refs("refs"), objects(tiny)) == (refs, there)
    checked = json.loads(patchbot("check", "--only", "applies,checkpatch", "--json", cwd=work).stdout)
    assert {r["check"] for r in checked["results"]} == {"applies", "checkpatch"}
    again = json.loads(patchbot("check", "--only", "applies,checkpatch", "--json", cwd=work).stdout)
    assert all(r["cached"] for r in again["results"] if r["patch"])
    mail = json.loads(patchbot("mail", "-o", str(tmp_path / "out"), "--json", cwd=work).stdout)
    assert Path(mail["series"][0]["cover"]).read_text().count(f"base-commit: {first['kernel']['base']}") == 1
    assert not any(b"Signed-off-by" in f.read_bytes() for f in (tmp_path / "out").iterdir())
    assert snapshot(tiny) == before
    assert {r for r in tiny.refs("refs") if "patchbot" in r} == {
        "refs/heads/patchbot/kfunc_flags",
        *(f"refs/heads/patchbot/kfunc_flags.{tree}" for tree in ("bpf-next", "hid", "sched_ext")),
        "refs/patchbot/kfunc_flags/draft",
        "refs/patchbot/kfunc_flags/undo",
    }


def test_the_mails_reproduce_the_branch(tiny, work, tmp_path):
    made = json.loads(patchbot("generate", "--json", cwd=work).stdout)
    mail = json.loads(patchbot("mail", "-o", str(tmp_path / "out"), "--json", cwd=work).stdout)
    patches = [f for f in mail["series"][0]["files"] if "0000-" not in f]
    subprocess.run(["git", "clone", "-q", work, tmp_path / "clone"], check=True)
    subprocess.run(["git", "am", "-q", *patches], cwd=tmp_path / "clone", check=True)
    last = next(p for p in made["patches"] if p["id"] == made["series"][0]["patches"][-1])
    (tmp_path / "plain.toml").write_text('[campaigns.kfunc_flags]\nrfc = false\nurl = "https://example.org/x"\n')
    wanted = (("RFC PATCH", ["--rfc"]), ("PATCH", []))
    for number, (word, argv) in enumerate(wanted):
        argv = [*argv, "-o", str(tmp_path / f"out{number}"), "--config", str(tmp_path / "plain.toml"), "--json"]
        said = json.loads(patchbot("mail", *argv, cwd=work).stdout)
        cover = Path(said["series"][0]["cover"]).read_text()
        assert f"Subject: [{word} bpf-next 0" in cover
        assert "https://example.org/x" in cover
    plain = json.loads(patchbot("mail", "--no-rfc", "-o", str(tmp_path / "out"), "--json", cwd=work).stdout)
    assert "Subject: [PATCH bpf-next" in Path(plain["series"][0]["files"][1]).read_text()
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD^{tree}"], cwd=tmp_path / "clone", check=True, capture_output=True, text=True
    )
    assert tree.stdout.strip() == tiny.tree_of(last["commit"])


FIGURES = '''"""Count something."""
from patchbot.checking.check import Outcome
from patchbot.model import Evidence

def check_series(subject):
    kept = Evidence("Not for a letter", ("program", "states"), (("p", "4"),))
    sums = Evidence("Sums", ("", "before", "after"), (("programs accepted", "61", "107"),), posted=True)
    return Outcome.of([], examined=1, evidence=(sums, kept))
'''


def test_the_cover_has_figures_that_were_recorded_for_its_tip_only(work, tmp_path):
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/figures.py").write_text(FIGURES)
    (tmp_path / "p.toml").write_text(f'[checks]\npath = ["{tmp_path}/checks"]\n')
    config = ("--config", str(tmp_path / "p.toml"))

    def cover() -> str:
        mail = patchbot("mail", "-o", str(tmp_path / "out"), "--json", *config, cwd=work)
        return Path(json.loads(mail.stdout)["series"][0]["cover"]).read_text()

    patchbot("generate", *config, cwd=work)
    assert "Sums" not in cover()
    patchbot("check", "--only", "figures", *config, cwd=work)
    text = cover()
    assert "\nSums, with the patches that wait:\n\n                     before  after\n  programs accepted " in text
    assert "Not for a letter" not in text
    git = ["git", "-c", "user.name=P", "-c", "user.email=p@example.org"]
    subprocess.run([*git, "checkout", "-q", "patchbot/kfunc_flags"], cwd=work, check=True)
    subprocess.run(
        [*git, "commit", "-q", "--amend", "-m", "bpf: Say it in other words", "-m", "Body."], cwd=work, check=True
    )
    assert "Sums" not in cover()


def test_dry_run_moves_nothing(tiny, work):
    refs, there = tiny.refs("refs"), objects(tiny)
    assert "dry run" in patchbot("generate", "--dry-run", cwd=work).stdout
    assert (tiny.refs("refs"), objects(tiny)) == (refs, there)


def test_steps_are_switched_on_the_command_line(work):
    off = json.loads(patchbot("generate", "--without", "release", "--dry-run", "--json", cwd=work).stdout)
    assert [p["subject"] for p in off["patches"] if "Use KFA_" in p["subject"]]
    assert not [p for p in off["patches"] if "KFA_RELEASE for" in p["subject"]]
    assert "suffixes" in [
        p["id"] for p in json.loads(patchbot("generate", "--with", "suffixes", "--json", cwd=work).stdout)["patches"]
    ]
    assert "(known: dynptr" in patchbot("generate", "--with", "nope", cwd=work, code=2).stderr


def test_what_is_no_kernel_is_the_users_to_fix(tmp_path, work):
    (tmp_path / "empty").mkdir()
    assert "not a git repository" in patchbot("scan", cwd=tmp_path / "empty", code=2).stderr
    assert "no such directory" in patchbot("scan", "--kernel", "nope", cwd=tmp_path, code=2).stderr
    assert "'v9' names no commit" in patchbot("scan", "--base", "v9", cwd=work, code=2).stderr
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["git", "init", "-q", other], check=True)
    commit(other, "no kernel", {"Makefile": b"all:\n"})
    assert "not a kernel" in patchbot("generate", cwd=other, code=2).stderr


def test_no_author_is_named_before_any_work(work, tmp_path):
    (tmp_path / "nobody").touch()
    done = patchbot("generate", cwd=work, code=2, GIT_CONFIG_GLOBAL=str(tmp_path / "nobody"))
    assert "user.name and user.email" in done.stderr


def altered(tmp_path: Path, path: str, old: bytes, new: bytes, count: int = 1) -> Repo:
    text = (TINY / path).read_bytes()
    assert text.count(old) >= 1, f"{path} has no {old!r}"
    return build(tmp_path / "altered", {path: text.replace(old, new, count)})


ANCHORS = [
    ("kernel/bpf/btf.c", b"btf_populate_kfunc_set(", b"btf_populate_kfuncs(", 9),
    ("kernel/bpf/verifier.c", b"is_kfunc_rcu(", b"is_kfunc_rcu_ok(", 9),
    ("include/linux/btf_ids.h", b"#define BTF_KFUNCS_START(name)", b"#define BTF_KFUNC_START(name)", 9),
    ("kernel/bpf/btf.c", b"struct btf_kfunc_set_tab {", b"struct btf_kfunc_sets_tab {", 1),
]


@pytest.mark.parametrize(("path", "old", "new", "count"), ANCHORS)
def test_an_anchor_that_is_gone_stops_before_anything_is_written(tmp_path, path, old, new, count):
    repo = altered(tmp_path, path, old, new, count)
    refs, there = repo.refs("refs"), objects(repo)
    done = patchbot("generate", cwd=repo.git_dir.parent, code=2)
    assert path in done.stderr
    assert (repo.refs("refs"), objects(repo)) == (refs, there)


def test_a_row_that_cannot_be_parsed_is_an_error_with_its_line(tmp_path):
    repo = altered(tmp_path, "kernel/bpf/cpumask.c", b"BTF_ID_FLAGS(", b"BTF_ID_ODD(")
    text = repo.read(repo.resolve("HEAD"), "kernel/bpf/cpumask.c")
    line = text[: text.index(b"BTF_ID_ODD")].count(b"\n") + 1
    for command in ("scan", "generate"):
        assert f"kernel/bpf/cpumask.c:{line}" in patchbot(command, cwd=repo.git_dir.parent, code=2).stderr


def test_without_the_header_step_the_rows_are_refused(work):
    done = patchbot("generate", "--without", "btf_ids,btf,verifier,docs", cwd=work, code=2)
    assert "include/linux/btf_ids.h" in done.stderr


def test_undecided_sites_stop_generate_with_the_complete_list(tmp_path):
    text = (TINY / "kernel/bpf/cpumask.c").read_bytes()
    start = text.index(b"BTF_ID_FLAGS(")
    repo = build(
        tmp_path / "altered",
        {
            "kernel/bpf/cpumask.c": text[:start]
            + b"BTF_ID_FLAGS(func, bpf_nowhere, KF_RCU)\nBTF_ID_FLAGS(func, bpf_nobody, KF_RELEASE)\n"
            + text[start:]
        },
    )
    done = patchbot("generate", cwd=repo.git_dir.parent, code=1)
    assert "bpf_nowhere" in done.stderr
    assert "bpf_nobody" in done.stderr
    assert patchbot("scan", cwd=repo.git_dir.parent, code=1)
    assert "refs/heads/patchbot/kfunc_flags" not in repo.refs("refs")


def test_an_old_kernel_is_listed_by_scan_and_generate_names_what_it_lacks(tmp_path):
    """The shape of 6.1: BTF_SET8_START for kfuncs, no BTF_KFUNCS_START, no linux/args.h."""
    ids = (TINY / "include/linux/btf_ids.h").read_bytes()
    ids = re.sub(rb"#define BTF_KFUNCS_(START|END)\(name\)(.*\\\n)*.*\n", b"", ids)
    changes: dict[str, bytes | None] = {
        "include/linux/btf_ids.h": ids.replace(b"#define BTF_SET8_KFUNCS", b"#define BTF_SET8_OLD"),
        "include/linux/args.h": None,
    }
    for file in TINY.rglob("*.c"):
        if b"BTF_KFUNCS_START" in file.read_bytes():
            text = file.read_bytes().replace(b"BTF_KFUNCS_START", b"BTF_SET8_START")
            changes[str(file.relative_to(TINY))] = text.replace(b"BTF_KFUNCS_END", b"BTF_SET8_END")
    repo = build(tmp_path / "old", changes)
    scanned = patchbot("scan", "--json", cwd=repo.git_dir.parent, code=1)
    assert "BTF_KFUNCS_START" in scanned.stderr
    document = json.loads(scanned.stdout)
    assert document["counts"]["sets"] > 5
    assert document["counts"]["refuse"] > 5
    assert {s["kind"] for s in document["sets"]} == {"BTF_SET8_START"}
    done = patchbot("generate", cwd=repo.git_dir.parent, code=1)
    for lacking in ("BTF_KFUNCS_START", "linux/args.h"):
        assert lacking in done.stderr


def test_ctrl_c_leaves_nothing_behind(tiny, work):
    refs, there = tiny.refs("refs"), objects(tiny)
    child = subprocess.Popen([*PATCHBOT, "generate"], cwd=work, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(0.35)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    if child.returncode == 0:
        pytest.skip("the machine was faster than the signal; run it again to try")
    assert child.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in err or child.returncode == -signal.SIGINT
    assert (tiny.refs("refs"), objects(tiny)) == (refs, there)


def test_a_disk_that_is_full_is_an_error_and_loses_nothing(tiny, work):
    """A limit on the size of files stands in for a full disk: every larger write fails in the same places."""
    refs, there = tiny.refs("refs"), objects(tiny)
    line = f'ulimit -f 4; exec "{PATCHBOT[0]}" -m patchbot.cli generate'
    done = subprocess.run(["bash", "-c", line], cwd=work, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert (tiny.refs("refs"), objects(tiny)) == (refs, there)


def test_a_missing_tool_is_named_with_its_package(work, tmp_path):
    patchbot("generate", cwd=work)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git"))
    done = patchbot("check", "--only", "checkpatch", cwd=work, code=3, PATH=str(tools))
    assert "perl" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["check", "--patches", "0-99"], "the series has the patches 1 to"),
        (["check", "--patches", "x"], "not a patch number"),
        (["check", "--only", "nope"], "applies"),
        (["check", "HEAD..HEAD"], "has no commits"),
        (["generate", "nope"], "no campaign 'nope'"),
    ],
)
def test_bad_arguments_say_what_would_be_right(work, argv, message):
    patchbot("generate", "-q", cwd=work)
    assert message in patchbot(*argv, cwd=work, code=2).stderr


def test_check_takes_any_range_of_commits(work):
    commit(work, "kernel: Change something\n\nBecause.\n", {"net/new.c": b"int patchbot_new;\n"})
    document = json.loads(patchbot("check", "HEAD~1..HEAD", "--only", "applies", "--json", cwd=work).stdout)
    assert [r["status"] for r in document["results"]] == ["PASS"]


def test_report_shows_what_was_kept_of_a_range(work):
    for number in (1, 2):
        commit(work, f"kernel: Change thing {number}\n\nBecause.\n", {"net/new.c": b"int new;\n" * number})
    patchbot("check", "HEAD~2..HEAD", "--only", "applies", cwd=work)
    patchbot("check", "HEAD~1..", "--only", "applies", cwd=work)
    for what, names in (
        ("HEAD~2..HEAD", ["0001 kernel: Change thing 1", "0002 kernel: Change thing 2"]),
        ("HEAD~1..HEAD", ["0001 kernel: Change thing 2"]),
    ):
        patchbot("report", what, "--junit", "it.xml", cwd=work)
        cases = [case.get("name") for case in ElementTree.parse(work / "it.xml").iter("testcase")]
        assert cases == names
        patchbot("report", what, "--html", "it.html", cwd=work)
        page = (work / "it.html").read_text()
        assert page.count("PASS") > len(names)
        assert ("thing 1" in page) == (len(names) == 2)
    done = patchbot("report", "HEAD~1..HEAD~1", "--junit", "it.xml", cwd=work, code=2)
    assert "has no commits" in done.stderr
    done = patchbot("report", "HEAD~2..HEAD~1", "--html", "it.html", cwd=work)
    assert "no check has run" in done.stderr


def test_init_writes_a_file_once_and_not_into_a_work_tree(work, tmp_path):
    patchbot("init", cwd=work)
    assert (work / ".git/patchbot.toml").is_file()
    assert not (work / "patchbot.toml").exists()
    assert "does not overwrite" in patchbot("init", cwd=work, code=2).stderr
    patchbot("init", str(tmp_path), cwd=work)
    assert (tmp_path / "patchbot.toml").is_file()
    patchbot("scan", cwd=work)


def test_campaigns_and_checks_are_listed(tmp_path):
    assert "kfunc_flags: " in patchbot("campaigns", cwd=tmp_path).stdout
    listed = patchbot("checks", cwd=tmp_path).stdout
    assert all(f"{name}: " in listed for name in ("applies", "checkpatch", "build"))


@pytest.mark.parametrize("option", ["-C", "--kernel", "--config"])
@pytest.mark.parametrize("name", ["~no.such.person/x", "x" * 5000, "a/" * 3000, os.fsdecode(b"\xff\x9b")])
def test_a_path_that_cannot_be_is_the_users_to_fix(work, option, name):
    done = patchbot("scan", option, name, cwd=work, code=2)
    assert "no such" in done.stderr.lower() or "File name too long" in done.stderr


@pytest.mark.parametrize("command", [["scan"], ["generate"], ["mail", "-o", "out"], ["check", "--only", "applies"]])
def test_a_cache_that_cannot_be_written_is_named_with_its_variable(work, tmp_path, command):
    patchbot("generate", "-q", cwd=work)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/nonexistent/folder")
    for place in (tmp_path / "file", tmp_path / "link", Path("/proc/none")):
        done = patchbot(*command, cwd=work, code=2, XDG_CACHE_HOME=str(place))
        assert str(place) in done.stderr
        assert "XDG_CACHE_HOME" in done.stderr


def test_what_the_system_refused_unexpectedly_keeps_its_traceback(work, tmp_path):
    (tmp_path / "file").touch()
    done = patchbot("scan", cwd=work, code=2, XDG_CACHE_HOME=f"{tmp_path}/file", TMPDIR=str(tmp_path))
    (log,) = tmp_path.glob("patchbot-*.log")
    assert f"the traceback is in {log}" in done.stderr
    assert "NotADirectoryError" in log.read_text()


def test_nobody_needs_a_home_or_a_folder_for_temporary_files(work, tmp_path):
    done = patchbot("scan", cwd=work, HOME="/nonexistent", TMPDIR="/nonexistent", XDG_CACHE_HOME=str(tmp_path / "c"))
    assert "change" in done.stdout


def read_only(line: str, place: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run patchbot where a folder is on a read-only file system; skip the test where nobody may mount."""
    text = f'mount --bind "{place}" "{place}" && mount -o remount,ro,bind "{place}" || exit 77; cd "{cwd}"; '
    command = ["unshare", "-m", "bash", "-c", f'{text}exec "{PATCHBOT[0]}" -m patchbot.cli {line}']
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("no right to mount")
    assert "Traceback" not in done.stderr
    return done


def test_a_repository_that_cannot_be_written_is_read(work, tmp_path):
    patchbot("generate", "-q", cwd=work)
    for line in ("scan", "check --only applies", "status", f"mail -o {tmp_path}/out", "generate", "generate --dry-run"):
        done = read_only(line, work, work)
        assert done.returncode == 0, done.stderr
    for line in ("generate --with suffixes", "freeze", "mail -o out"):
        done = read_only(line, work, work)
        assert (done.returncode, "cannot write" in done.stderr) == (2, True), done.stderr
        assert "Read-only file system" in done.stderr


def test_a_cache_on_a_read_only_file_system_is_named(work):
    patchbot("generate", "-q", cwd=work)
    cache = Path(os.environ["XDG_CACHE_HOME"])
    for line in ("check --only applies", "status", "mail -o out"):
        done = read_only(line, cache, work)
        assert done.returncode == 2, done.stderr
        assert "XDG_CACHE_HOME" in done.stderr


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_what_a_partial_clone_lacks_is_fetched_by_the_commands_that_are_named(work, tmp_path, kind):
    for key in ("allowFilter", "allowAnySHA1InWant"):
        subprocess.run(["git", "config", f"uploadpack.{key}", "true"], cwd=work, check=True)
    clone = tmp_path / "it's partial"
    subprocess.run(["git", "clone", "-qn", f"--filter={kind}", f"file://{work}", clone], check=True)
    said = patchbot("scan", cwd=clone, code=2).stderr
    for command in re.findall(r"with: (git .*)", said):
        subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert len(re.findall(r"with: (git .*)", said)) == 2
    assert "change" in patchbot("scan", cwd=clone).stdout


def test_a_session_ends_what_reads_its_repositories(work):
    session = Session(Given(kernel=str(work)), Terminal(), Terminal(stderr=True), main)
    session.close()  # nothing was opened
    readers = []
    for repo in (session.repo, session.scratch):
        repo.read(session.repo.resolve("HEAD"), "Makefile")
        readers.append(repo._batch.process)
    session.close()
    assert [reader.poll() is not None for reader in readers] == [True, True]


def test_an_error_with_json_is_a_document(work):
    for argv, exit_, file in (
        (["scan", "--json", "--frob"], 2, None),
        (["scan", "--json", "--base", "nothing"], 2, None),
        (["scan", "--config", "wrong.toml", "--json"], 2, str(work / "wrong.toml")),
    ):
        (work / "wrong.toml").write_text("[kernel\n")
        done = patchbot(*argv, cwd=work, code=exit_)
        error = json.loads(done.stdout)["error"]
        assert (error["exit"], error["file"], error["line"]) == (exit_, file, 1 if file else None)
        assert error["message"] in done.stderr


def test_options_for_the_whole_of_patchbot_come_before_or_after_the_command(work, tmp_path):
    first = patchbot("-C", str(work), "scan", "-q", cwd=tmp_path).stdout
    assert first == patchbot("scan", "-q", "-C", str(work), cwd=tmp_path).stdout != ""
    assert "unrecognized arguments: --base" in patchbot("checks", "--base", "HEAD", cwd=work, code=2).stderr


def test_failures_and_what_was_not_checked_are_said_before_a_posting(work, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/grumpy.py").write_text(
        '"""Fails one patch."""\n'
        "from patchbot.checking.check import Outcome\n"
        "from patchbot.model import Finding, Status\n\n\n"
        "def key(subject, item):\n    return item.tree\n\n\n"
        "def check(subject, item):\n"
        "    bad = [Finding(Status.FAIL, 'no', None)] if item.id == 'btf' else []\n"
        "    return Outcome.of(bad, examined=1)\n"
    )
    (tmp_path / "p.toml").write_text(f'[checks]\nrun = ["applies", "grumpy"]\npath = ["{tmp_path}/mine"]\n')
    more = ["--config", str(tmp_path / "p.toml")]
    patchbot("generate", *more, cwd=work)
    mail = ["mail", "-o", str(tmp_path / "out"), "--json", *more]

    def about_checks(code: int) -> list[tuple[str, str]]:
        found = json.loads(patchbot(*mail, cwd=work, code=code).stdout)["findings"]
        return [(f["status"], f["message"].partition(": patchbot")[0]) for f in found if f["type"] == "CHECKS"]

    assert about_checks(0) == [("WARN", "The branch as it is was not checked; do it with")]
    patchbot("check", "--only", "applies", "--patches", "1-2", *more, cwd=work)
    assert about_checks(0) == [
        ("WARN", "The check applies ran on 2 of 10 patches of the branch as it is"),
        ("WARN", "The check grumpy ran on no patch of the branch as it is"),
    ]
    patchbot("check", *more, cwd=work, code=1)
    assert about_checks(1) == [("FAIL", "The check grumpy says FAIL of btf.")]
    assert "error: The check grumpy says FAIL of btf." in patchbot("freeze", *more, cwd=work, code=1).stderr
    said = patchbot("mail", "-o", str(tmp_path / "out"), *more, cwd=work, code=1).stdout
    stops, decide, know = (
        said.index(f"\n{group}:\n") for group in ("What stops you", "What to decide", "What to know")
    )
    assert stops < said.index("  - The check grumpy says FAIL of btf.\n") < decide
    assert decide < said.index("  - Did an assistant help with this?") < know
    assert know < said.index("people and lists get this series") < said.index("  - 1 patch waits on the branch, for")
    rows = json.loads(patchbot(*mail, cwd=work, code=1).stdout)["findings"]
    groups = {"FAIL": "stops", "WARN": "decide", "SKIP": "decide", "PASS": "know"}
    assert all(row["group"] == groups[row["status"]] for row in rows)
    assert "checks FAIL" in patchbot("status", *more, cwd=work).stdout
    (tmp_path / "p.toml").write_text('[checks]\nrun = ["applies", "sites"]\n')
    assert "checks FAIL, sites not run" in patchbot("status", *more, cwd=work).stdout


def test_what_is_said_of_many_commits_of_none_to_compare_with_and_of_no_jobs(work):
    patchbot("generate", cwd=work)
    patchbot("freeze", cwd=work)
    assert "is v1 itself, and there is no version" in patchbot("diff", cwd=work, code=2).stderr
    assert "--jobs: '0' is not a positive number" in patchbot("check", "--jobs", "0", cwd=work, code=2).stderr
    subprocess.run(["git", "worktree", "add", "-q", "../mine", "patchbot/kfunc_flags"], cwd=work, check=True)
    for number in range(7):
        commit(work.parent / "mine", f"mine: {number}")
    subprocess.run(["git", "worktree", "remove", "--force", "../mine"], cwd=work, check=True)
    said = patchbot("generate", "--without", "rcu", cwd=work, code=2).stderr
    assert said.count(" mine: ") == 5
    assert "and 2 more\n" in said
