"""Know how the maintainers of a file begin a subject, and what to call its kfuncs.

This is a table and not the history: a shallow clone and a full one must yield the same commits, and `git log` on a
path of a full kernel takes longer than the rest of the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Subject:
    """The `prefix` before the colon, and the `topic` in "the <topic> kfuncs"."""

    prefix: str
    topic: str


#: By path; the longest that fits wins; a folder ends in `/`.
SUBJECTS = {
    "drivers/base/power/": Subject("PM: wakeup", "wakeup source"),
    "drivers/hid/bpf/": Subject("HID: bpf", "HID"),
    "fs/binfmt_misc_bpf.c": Subject("binfmt_misc", "binfmt_misc"),
    "fs/bpf_fs_kfuncs.c": Subject("bpf", "file system"),
    "fs/verity/": Subject("fsverity", "fs-verity"),
    "io_uring/": Subject("io_uring/bpf", "io_uring"),
    "kernel/bpf/": Subject("bpf", ""),
    "kernel/bpf/helpers.c": Subject("bpf", "generic"),
    "kernel/cgroup/": Subject("bpf", "cgroup"),
    "kernel/sched/ext": Subject("sched_ext", "task and cpumask"),
    "kernel/trace/bpf_trace.c": Subject("bpf", "tracing"),
    "mm/bpf_memcontrol.c": Subject("mm", "memcg"),
    "net/bpf/test_run.c": Subject("bpf, test_run", "test_run"),
    "net/core/bpf_ksock.c": Subject("bpf", "kernel socket"),
    "net/core/filter.c": Subject("bpf", "networking"),
    "net/core/xdp.c": Subject("xdp", "XDP metadata"),
    "net/ipv4/fou_bpf.c": Subject("bpf, fou", "FOU"),
    "net/ipv4/tcp_": Subject("tcp", "congestion control"),
    "net/ipv4/bpf_tcp_ca.c": Subject("bpf, tcp", "congestion control"),
    "net/mptcp/": Subject("mptcp", "MPTCP"),
    "net/netfilter/nf_conntrack_bpf.c": Subject("netfilter", "conntrack"),
    "net/netfilter/nf_flow_table_bpf.c": Subject("netfilter", "flow table"),
    "net/netfilter/nf_nat_bpf.c": Subject("netfilter", "NAT"),
    "net/sched/": Subject("bpf, net_sched", "qdisc"),
    "net/xfrm/": Subject("xfrm", "XFRM"),
    "net/xfrm/xfrm_state_bpf.c": Subject("xfrm", "XFRM state"),
    "net/xfrm/xfrm_interface_bpf.c": Subject("xfrm", "XFRM interface"),
    "tools/testing/selftests/bpf/": Subject("selftests/bpf", "test"),
}


def subject(paths: Sequence[str]) -> Subject:
    """Return the subject of a patch to `paths`: the first file's prefix, and a topic that fits all of them."""
    found = [subject_of(path) for path in sorted(paths)]
    topics = dict.fromkeys(s.topic for s in found)
    return Subject(found[0].prefix, " and ".join(topics))


def subject_of(path: str) -> Subject:
    """Return the subject for one file; if the table lacks it, it is derived from the path."""
    fits = [prefix for prefix in SUBJECTS if path.startswith(prefix)]
    stem = PurePosixPath(path).stem.removeprefix("bpf_").removesuffix("_kfuncs").removesuffix("_bpf").replace("_", " ")
    if fits:
        known = SUBJECTS[max(fits, key=len)]
        return Subject(known.prefix, known.topic or stem)
    parts = PurePosixPath(path).parts
    folder = parts[-2] if len(parts) > 1 else "bpf"
    return Subject(f"{folder}: bpf" if folder != "bpf" else "bpf", stem)
