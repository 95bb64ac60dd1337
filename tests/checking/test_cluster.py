"""Checks on the workers of a scheduler: the same results as here, whatever dies, and none where that is not safe."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tinytree import PATCHBOT, commit, patchbot

from patchbot.checking.chains import Chains
from patchbot.checking.check import Item, Subject, load
from patchbot.checking.cluster import SMALL, Done, Job, Series, logs_of, moved, received
from patchbot.checking.tasks import Task
from patchbot.commands.far import do
from patchbot.errors import ToolError, UserError
from patchbot.git.mirror import mirrored
from patchbot.model import Evidence, Finding, Result, Status
from patchbot.paths import cache_dir
from patchbot.run import run
from patchbot.shapes import plain
from patchbot.workers import at_work, halt, is_loopback, refuse_open

SPATCH_IS = shutil.which("spatch")
SPATCH = pytest.mark.skipif(not SPATCH_IS, reason="coccinelle is not installed: apt install coccinelle")
START = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    own = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    print(own.scheduler_address, flush=True)
    sys.stdin.read()
    own.close()
"""
HEAD = (
    "import os, signal\nfrom pathlib import Path\n"
    "from patchbot.checking.check import Outcome\nfrom patchbot.model import Finding, Status\n"
)
DIE = "os.kill(os.getpid(), signal.SIGKILL)\n"
#: Says for each patch what it is, so that two patches that are mixed up differ.
SAYS = HEAD + (
    "def key(subject, item):\n    return item.tree\n"
    "def check(subject, item):\n"
    "    log = subject.log('mine', item)\n    log.write_text(item.subject)\n"
    "    found = Finding(Status.WARN, item.subject, item.files[0], 1, type='SUBJECT')\n"
    "    return Outcome.of([found], examined=1, reason=f'see {log}', log=log)\n"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two worker processes, which have a HOME of their own."""
    home = tmp_path_factory.mktemp("host")
    (home / "start.py").write_text(START)
    places = {
        "HOME": str(home),
        **{f"XDG_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA", "STATE")},
    }
    argv = [sys.executable, str(home / "start.py")]
    env = {**os.environ, **places}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=home) as own:
        yield own.stdout.readline().strip()
        own.stdin.close()


@pytest.fixture
def drafted(work, tmp_path):
    (tmp_path / "mychecks").mkdir()
    (tmp_path / "mychecks/mine.py").write_text(f'"""Say what each patch is."""\n{SAYS}')
    (tmp_path / "patchbot.toml").write_text(f'[checks]\npath = ["{tmp_path}/mychecks"]\n')
    patchbot("generate", "-q", "--config", str(tmp_path / "patchbot.toml"), cwd=work)
    return work


def checked(work: Path, *argv: str, code: int = 0) -> dict:
    config = ("--config", str(work.parent / "patchbot.toml"))
    return json.loads(patchbot("check", "--json", *config, *argv, cwd=work, code=code).stdout)


def told(report: dict) -> list[dict]:
    own = ("seconds", "date", "where", "cached")
    return [{key: value for key, value in row.items() if key not in own} for row in report["results"]]


def test_results_are_the_same_and_known_afterwards(drafted, cluster, tmp_path):
    here = checked(drafted, "--only", "applies,checkpatch,mine")
    there = checked(drafted, "--only", "applies,checkpatch,mine", "--full", "--cluster", cluster)
    assert told(there) == told(here)
    assert all(row["where"] for row in there["results"])
    assert not any(row["where"] for row in here["results"])
    mine = [row for row in there["results"] if row["check"] == "mine"]
    assert all(Path(row["log"]).read_text() == row["findings"][0]["message"] for row in mine)
    config = ("--config", str(tmp_path / "patchbot.toml"))
    count, host = len(there["results"]), socket.gethostname()
    assert f"results of checks: {count} on {host}\n" in patchbot("status", *config, cwd=drafted).stdout
    patchbot("report", "--junit", str(tmp_path / "r.xml"), *config, cwd=drafted)
    patchbot("report", "--html", str(tmp_path / "r.html"), *config, cwd=drafted)
    assert (tmp_path / "r.xml").read_text().count(f"made by the worker {host} ") == count
    assert f"made by worker {host} " in (tmp_path / "r.html").read_text()
    again = checked(drafted, "--only", "mine")
    assert all(row["cached"] and row["where"] for row in again["results"])


def test_a_worker_that_dies_changes_nothing(drafted, cluster, tmp_path):
    kill = f"    died = Path(subject.options['died'])\n    if not died.exists():\n        died.touch()\n        {DIE}"
    mine = tmp_path / "mychecks/mine.py"
    mine.write_text(mine.read_text().replace("    log = subject", f"{kill}    log = subject"))
    died = tmp_path / "died"
    (tmp_path / "patchbot.toml").write_text(
        f'[checks]\npath = ["{tmp_path}/mychecks"]\n[checks.mine]\ndied = "{died}"\n'
    )
    argv = ("check", "--json", "--only", "mine", "--config", str(tmp_path / "patchbot.toml"), "--cluster", cluster)
    done = patchbot(*argv, cwd=drafted)
    assert died.exists()
    host = socket.gethostname()
    assert f"the work goes to 2 workers: {host} (2)\n" in done.stderr
    assert re.search(rf"the worker {host} [12] is lost, and 1 worker is left; what it was doing is done ", done.stderr)
    assert told(json.loads(done.stdout)) == told(checked(drafted, "--only", "mine", "--full"))


def test_a_check_that_kills_every_worker_is_an_error_and_not_kept(drafted, cluster, tmp_path):
    mine = tmp_path / "mychecks/mine.py"
    kill = f"    if item is subject.items[0]:\n        {DIE}"
    mine.write_text(mine.read_text().replace("    log = subject", f"{kill}    log = subject"))
    report = checked(drafted, "--only", "mine", "--patches", "1", "--cluster", cluster, code=3)
    (row,) = report["results"]
    assert row["status"] == "ERROR"
    assert "the cluster gave no result: 4 workers died while they did it" in row["reason"]
    assert not checked(drafted, "--only", "mine", "--patches", "2", "--cluster", cluster)["results"][0]["cached"]


def test_what_no_worker_has_is_skipped_with_the_package(drafted, cluster, tmp_path):
    mine = tmp_path / "mychecks/mine.py"
    mine.write_text(mine.read_text() + 'NEEDS = {"no-such-program": "no-such-package"}\n')
    report = checked(drafted, "--only", "mine", "--patches", "1", "--cluster", cluster)
    assert [(row["status"], row["reason"]) for row in report["results"]] == [
        ("SKIP", "no worker has no-such-program (Debian: no-such-package)")
    ]


@pytest.mark.parametrize("end", ["raise SystemExit(5)", "raise KeyboardInterrupt"])
def test_a_check_that_ends_the_program_ends_the_run(drafted, cluster, tmp_path, end):
    mine = tmp_path / "mychecks/mine.py"
    mine.write_text(mine.read_text().replace("    log = subject", f"    {end}\n    log = subject"))
    report = checked(drafted, "--only", "mine", "--cluster", cluster, code=2)
    assert "the check mine ended the program: " in report["error"]["message"]


def test_a_log_of_odd_bytes_comes_along_whole(drafted, cluster, tmp_path):
    mine = tmp_path / "mychecks/mine.py"
    mine.write_text(
        mine.read_text().replace("log.write_text(item.subject)", "log.write_bytes(bytes(range(256)) * 60000)")
    )
    (row,) = checked(drafted, "--only", "mine", "--patches", "1", "--cluster", cluster)["results"]
    assert Path(row["log"]).read_bytes() == bytes(range(256)) * 60000


def test_fail_fast_ends_the_rest(drafted, cluster, tmp_path):
    mine = tmp_path / "mychecks/mine.py"
    mine.write_text(mine.read_text().replace("Status.WARN", "Status.FAIL"))
    report = checked(drafted, "--only", "mine", "--fail-fast", "--cluster", cluster, code=1)
    assert report["counts"]["FAIL"] >= 1
    assert any("not run: --fail-fast" in row["reason"] for row in report["results"])


def test_ctrl_c_ends_what_the_workers_do(drafted, cluster, tmp_path):
    mine, began = tmp_path / "mychecks/mine.py", tmp_path / "began"
    wait = f"    from patchbot.run import run\n    run(['sh', '-c', 'echo $$ > {began}; exec sleep 300'])\n"
    mine.write_text(mine.read_text().replace("    log = subject", f"{wait}    log = subject"))
    argv = ["check", "--only", "mine", "--cluster", cluster, "--config", str(tmp_path / "patchbot.toml")]
    with subprocess.Popen([*PATCHBOT, *argv], cwd=drafted, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as own:
        while not (began.exists() and began.read_text().strip()):
            assert own.poll() is None, own.stderr.read()
            time.sleep(0.05)
        pid = int(began.read_text())
        own.send_signal(signal.SIGINT)
        own.communicate(timeout=60)
    assert own.returncode == 130
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        time.sleep(0.05)


def test_what_is_ended_starts_nothing_more_and_what_works_for_others_goes_on(tmp_path):
    def work(name):
        with at_work(name):
            run(["sh", "-c", f"touch {tmp_path}/{name}; sleep 0.5"], check=False)
            run(["touch", f"{tmp_path}/{name}-too"])

    with ThreadPoolExecutor() as pool:
        mine, other = pool.submit(work, "mine"), pool.submit(work, "other")
        while not ((tmp_path / "mine").exists() and (tmp_path / "other").exists()):
            time.sleep(0.01)
        halt("mine")
        with pytest.raises(ToolError, match="the run was ended"):
            mine.result()
        other.result()
        with pytest.raises(ToolError, match="the run was ended"):
            pool.submit(work, "mine").result()
    assert (tmp_path / "other-too").exists()
    assert not (tmp_path / "mine-too").exists()


def test_a_scheduler_that_anybody_reaches_is_refused(drafted, tmp_path):
    said = patchbot("check", "--cluster", "tcp://192.0.2.1:8786", cwd=drafted, code=2).stderr
    assert "can run programs on its workers; use tls://" in said
    assert "is not the address of a scheduler" in patchbot("check", "--cluster", "8786", cwd=drafted, code=2).stderr
    (tmp_path / "other.toml").write_text('[run]\ncluster = "tcp://192.0.2.1:8786"\n')
    said = patchbot("check", "--config", str(tmp_path / "other.toml"), cwd=drafted, code=2).stderr
    assert "can run programs on its workers; use tls://" in said
    for address in ("tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://[::ffff:127.0.0.1]:1", "tls://192.0.2.1:1"):
        refuse_open(address, insecure=False)
    refuse_open("tcp://192.0.2.1:1", insecure=True)
    hosts = ("example.org", "127.0.0.1.example.org", "127.0.0.1@example.org", "[::ffff:10.0.0.1]", "[::]", "0.0.0.0")
    for address in (*(f"tcp://{host}:1" for host in hosts), "http://127.0.0.1:1", "tcp://"):
        with pytest.raises(UserError):
            refuse_open(address, insecure=False)
    assert not is_loopback("10.0.0.1")


OPEN = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, processes=False, host="tcp://0.0.0.0", dashboard_address=None) as own:
        print(own.scheduler_address.rpartition(":")[2], flush=True)
        sys.stdin.read()
"""


def test_a_scheduler_that_other_machines_reach_too_is_refused(drafted):
    argv = [sys.executable, "-c", OPEN]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as own:
        where = ("--only", "applies", "--cluster", f"tcp://127.0.0.1:{own.stdout.readline().strip()}")
        said = patchbot("check", *where, cwd=drafted, code=2).stderr
        assert "dask scheduler --host 127.0.0.1" in said
        patchbot("check", *where, "--insecure", cwd=drafted)
        own.stdin.close()


def test_another_patchbot_is_refused(tiny):
    series = Series((), "0" * 40, "1" * 40, "kfunc_flags", {}, str(tiny.git_dir), "another identity")
    with pytest.raises(UserError, match=r"patchbot is not the same on the worker .*: install there what runs here"):
        do(json.dumps(plain(series)), json.dumps(plain(Job("run", "applies", (), ""))))


@pytest.fixture
def builds(tmp_path):
    (tmp_path / "b.py").write_text('"""Build."""\ncheck = print\nEXCLUSIVE = True\nNEEDS = {"gcc": "gcc"}\n')
    build = load("b", [tmp_path])
    items = [Item(f"p{n}", "", "", "", "", "", "", ()) for n in range(8)]
    return [Task(build, (item,), "", list, (None,)) for item in items]


def names(tasks):
    return [one and one.items[0].id for one in tasks]


def test_a_chain_of_builds_stays_on_one_place(builds):
    there = {"a": {"gcc"}, "b": set(), "c": {"gcc"}}
    chains = Chains(builds, there)
    assert names(chains.take("a", there["a"], there) for _ in range(3)) == ["p0", "p1", "p2"]
    assert chains.take("b", there["b"], there) is None
    assert names(chains.take("c", there["c"], there) for _ in range(4)) == ["p4", "p5", "p6", "p7"]
    assert chains.take("c", there["c"], there) is None, "the last one of a place is not taken from it"
    assert names([chains.take("a", there["a"], there)]) == ["p3"]
    assert chains.left() == []


def test_who_has_nothing_left_takes_half_of_the_longest_chain_and_what_is_nobodys_goes_on(builds):
    there = {"a": {"gcc"}}
    chains = Chains(builds, there)
    first = chains.take("a", there["a"], there)
    there["late"] = {"gcc"}
    assert names(chains.take("late", there["late"], there) for _ in range(2)) == ["p4", "p5"]
    del there["a"]
    chains.back(first, "a")
    assert names(chains.take("late", there["late"], there) for _ in range(6)) == ["p6", "p7", "p0", "p1", "p2", "p3"]
    assert chains.take("late", there["late"], there) is None


def test_a_result_names_this_machines_folders(tmp_path):
    item = Item("p", "", "", "", "", "", "", ())
    subject = Subject(None, None, "", (item,), "mine", list, {}, tmp_path)
    done = Done((), (), "/far/cache/repos/linux", "/far/cache", {"x.log": "", "1.config": ""}, "build1 7")
    log = "/far/cache/repos/linux/logs/x.log"
    found = Finding(Status.FAIL, f"see {log}", "/far/cache/repos/linux/x.c", 3)
    table = Evidence("t", ("a",), (("/far/cache/y",),))
    old = Result("c", "p", None, Status.FAIL, f"see {log}", (found,), log=log, reproduce="make", evidence=(table,))
    new = moved(old, done, subject)
    here = f"{tmp_path}/logs/x.log"
    assert (new.log, new.reason, new.reproduce) == (here, f"see {here}", "make")
    assert (new.findings[0].message, new.findings[0].file) == (f"see {here}", f"{tmp_path}/x.c")
    assert new.evidence[0].rows == ((f"{cache_dir()}/y",),)
    assert moved(replace(old, log=None), done, subject).log is None
    again = [
        moved(replace(old, reproduce=f"qemu -kernel {path}", patch=patch), done, subject).reproduce
        for path, patch in (
            ("/far/cache/images/bzImage", "p"),
            ("/far/cache/repos/linux/boot/bzImage", None),
            (log, "p"),
        )
    ]
    whole = "patchbot check mine --only c --full"
    assert again == [f"{whole} --patches 1", whole, f"qemu -kernel {here}"]
    make = "make KCONFIG_ALLCONFIG=/far/cache/repos/linux/build/fragments/1.config allnoconfig"
    assert (
        moved(replace(old, reproduce=make), done, subject).reproduce
        == f"make KCONFIG_ALLCONFIG={tmp_path}/logs/1.config allnoconfig"
    )


@pytest.mark.parametrize("junk", ["", "{}", "[[[", 5, None, '{"results": [{}]}'])
def test_junk_from_a_worker_is_an_error_of_that_patch(builds, tmp_path, junk):
    subject = Subject(None, None, "", (), "c", lambda _: (), {}, tmp_path)
    _, (result,) = received(subject, builds[0], junk)
    assert (result.status, result.patch) == (Status.ERROR, "p0")
    assert "the cluster gave no result: what the worker sent cannot be read: " in result.reason


@pytest.mark.parametrize(
    ("results", "logs", "why"),
    [
        ([], {}, "results of something else"),
        ([Result("b", "p7", "", Status.PASS)], {}, "results of something else"),
        ([Result("a", "p0", "", Status.PASS)], {}, "results of something else"),
        *(
            ([Result("b", "p0", "", Status.PASS)], {name: ""}, "a log with the name")
            for name in ("..", "", "a/b", "x" * 300)
        ),
    ],
)
def test_what_a_worker_sends_is_of_its_job(builds, tmp_path, results, logs, why):
    subject = Subject(None, None, "", (), "c", lambda _: (), {}, tmp_path)
    sent = json.dumps(plain(Done(tuple(results), (None,), "/far", "/far", logs, "far 1")))
    _, (result,) = received(subject, builds[0], sent)
    assert (result.status, result.patch) == (Status.ERROR, "p0")
    assert f"the worker sent {why}" in result.reason
    good = json.dumps(
        plain(Done((Result("b", "p0", "", Status.PASS),), (None,), "/far", "/far", {"b.log": ""}, "far 1"))
    )
    assert received(subject, builds[0], good)[1][0].status is Status.PASS


def test_a_small_file_that_a_line_needs_comes_along(tmp_path):
    (tmp_path / "few.config").write_text("CONFIG_BPF=y\n")
    (tmp_path / "bzImage").write_bytes(b"k" * (SMALL + 1))
    line = (
        f"make A={tmp_path}/few.config -C {tmp_path}/gone && qemu -kernel '{tmp_path}/bzImage' {tmp_path}x/few.config"
    )
    result = Result("c", "p", None, Status.FAIL, reproduce=line)
    assert logs_of([result], tmp_path) == {"few.config": base64.b64encode(b"CONFIG_BPF=y\n").decode()}


SMPL = "@@ expression E; @@\n- old_call(E)\n+ new_call(E)\n"
CAMPAIGN = """\
title = "treewide: Call"
target = "tip"
[sites]
words = ["old_call"]
[[steps]]
name = "call"
cocci = "call.cocci"
message = "call.txt"
split = "whole"
"""


@pytest.fixture
def called(work, tmp_path):
    """A repository in which spatch has to change two files; what they hold tells them apart from any other run."""
    (tmp_path / "mine").mkdir()
    files = {"campaign.toml": CAMPAIGN, "call.cocci": SMPL, "call.txt": "treewide: Call\n\nCall.\n"}
    for name, text in files.items():
        (tmp_path / "mine" / name).write_text(text)
    (tmp_path / "patchbot.toml").write_text(f'[campaigns.mine]\npath = "{tmp_path}/mine"\n')
    body = f"/* {tmp_path} */\nint call(void)\n{{\n\treturn old_call(1);\n}}\n"
    commit(work, "lib: Call", {f"lib/{name}.c": body.replace("int call", f"int {name}").encode() for name in "ab"})
    return work


def scanned(work: Path, *argv: str, code: int = 0) -> subprocess.CompletedProcess:
    return patchbot("scan", "mine", "--json", "--config", f"{work.parent}/patchbot.toml", *argv, cwd=work, code=code)


@SPATCH
def test_spatch_runs_on_workers_and_its_results_are_kept_here(called, cluster, tmp_path):
    there = json.loads(scanned(called, "--cluster", cluster).stdout)
    assert there["counts"]["change"] == 2
    scheduler_is_not_asked = "tcp://127.0.0.1:1"
    assert json.loads(scanned(called, "--cluster", scheduler_is_not_asked).stdout) == there
    (tmp_path / "mine/call.cocci").write_text(SMPL.replace("new_call", "newer_call"))
    assert "no scheduler answers" in scanned(called, "--cluster", scheduler_is_not_asked, code=2).stderr
    assert json.loads(scanned(called).stdout) == there
    assert "use tls://" in scanned(called, "--cluster", "tcp://192.0.2.1:8786", code=2).stderr


@SPATCH
def test_a_script_that_needs_the_tree_runs_here_with_a_cluster_too(called, tmp_path):
    """Only a header says of which type the value is; a worker of spatch has no tree."""
    smpl = SMPL.replace("expression E", "unsigned long E")
    (tmp_path / "mine/call.cocci").write_text(smpl)
    (tmp_path / "mine/campaign.toml").write_text(f'{CAMPAIGN}options = ["--all-includes"]\n')
    held = b"struct held {\n\tunsigned long n;\n};\n"
    body = b'#include "held.h"\nint c(struct held *h)\n{\n\treturn old_call(h->n);\n}\n'
    commit(called, "lib: Hold", {"lib/held.h": held, "lib/c.c": body})
    scheduler_is_not_asked = "tcp://127.0.0.1:1"
    there = json.loads(scanned(called, "--cluster", scheduler_is_not_asked, code=1).stdout)
    fates = {entry["file"]: entry["fate"] for entry in there["entries"]}
    assert fates == {"lib/a.c": "left", "lib/b.c": "left", "lib/c.c": "change"}


@SPATCH
def test_a_worker_with_another_spatch_is_refused(called, cluster, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/spatch").write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo 9.9 || exec {SPATCH_IS} "$@"\n')
    (tmp_path / "bin/spatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    assert "spatch is not the same on the worker" in scanned(called, "--cluster", cluster, code=2).stderr


def test_a_mirror_fetches_once_and_by_no_other_program(tiny, tmp_path):
    tip = tiny.resolve("HEAD")
    assert mirrored(str(tiny.git_dir), [tip]).git_dir == tiny.git_dir
    for remote in ("ext::sh -c id", "-x", "relative/path", "ssh://host/a b", "file:///x"):
        with pytest.raises(UserError, match="is neither an absolute path nor a URL"):
            mirrored(remote, [tip])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--listen=127.0.0.1", f"--port={port}", f"--base-path={tiny.git_dir.parent}", "--export-all", "--verbose"]
    url = f"git://127.0.0.1:{port}/{tiny.git_dir.name}"
    with subprocess.Popen(["git", "daemon", *where], stderr=subprocess.PIPE, text=True) as daemon:
        try:
            assert "Ready to rumble" in daemon.stderr.readline()
            found = mirrored(url, [tip])
        finally:
            daemon.terminate()
    assert found.git_dir != tiny.git_dir
    assert found.tree_of(tip) == tiny.tree_of(tip)
    assert mirrored(url, [tip]).git_dir == found.git_dir, "nobody is asked for what is there"
    with pytest.raises(UserError, match=f"git cannot fetch {'1' * 12} from {re.escape(url)}"):
        mirrored(url, ["1" * 40])
