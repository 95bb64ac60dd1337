"""Rows and prototypes in shapes that kernels write or may write: the right flags, or a refusal, never a silent skip."""

from __future__ import annotations

from pathlib import Path

import pytest
from kfunctree import make

from patchbot.campaigns.kfunc_flags.sites.inventory import audit
from patchbot.campaigns.kfunc_flags.sites.nouns import SetError
from patchbot.config import CampaignConfig

T = "struct task_struct"
KFUNCS = f"__bpf_kfunc void put({T} *p)\n{{\n}}\n__bpf_kfunc void look({T} *p, struct cgroup *c, u32 n)\n{{\n}}\n"
BOTH = {"put": {"0": ["KFA_RELEASE"]}, "look": {"0": ["KFA_RCU"], "1": ["KFA_RCU"]}}
PUT = "BTF_ID_FLAGS(func, put, KF_RELEASE)\n"
LOOK = "BTF_ID_FLAGS(func, look, KF_RCU | KF_SLEEPABLE)\n"
FIRST, SECOND = {"f": {"0": ["KFA_RCU"]}}, {"f": {"0": ["KFA_RCU"], "1": ["KFA_RCU"]}}
MEMORY = {"f": {"0": ["KFA_RCU"], "2": ["KFA_RDONLY"]}}


def one_set(rows: str, kfuncs: str = KFUNCS) -> str:
    return f"{kfuncs}BTF_KFUNCS_START(ids)\n{rows}BTF_KFUNCS_END(ids)\n"


def scan(path: Path, files: dict[str, str | bytes]) -> tuple[dict[str, dict[str, list[str]]], str]:
    """Return {kfunc: flags of arguments} of a tree, and what is refused."""
    try:
        found = audit(make(path, files), CampaignConfig("kfunc_flags"))
    except SetError as error:
        return {}, str(error)
    return {e["kfunc"]: e["arg_flags"] for e in found.document()["entries"]}, "\n".join(found.refused)


@pytest.mark.parametrize(
    "path",
    [
        "drivers/a/b.c",
        "arch/x86/a.c",
        "lib/a.c",
        "samples/bpf/a.c",
        "include/linux/a.h",
        "virt/a.inc",
        "rust/helpers/a.c",
    ],
)
def test_a_set_may_be_anywhere(tmp_path, path):
    assert scan(tmp_path, {path: one_set(PUT + LOOK)}) == (BOTH, "")


@pytest.mark.parametrize(
    "rows",
    [
        PUT.replace("\n", " /* why */\n") + LOOK.replace("\n", " // and why\n"),
        "BTF_ID_FLAGS(func, /* a */ put /* b */, KF_RELEASE /* c */)\n" + LOOK,
        PUT + "BTF_ID_FLAGS(func,\n\t     look,\n\t     KF_RCU |\n\t     KF_SLEEPABLE)\n",
        PUT.replace("\n", ";\n") + LOOK.replace("\n", ";\n"),
        PUT.strip() + " " + LOOK,
        "BTF_ID_FLAGS ( func , put , KF_RELEASE )\nBTF_ID_FLAGS( func,look,KF_RCU|KF_SLEEPABLE )\n",
        "BTF_ID_FLAGS(func, put, \\\n\tKF_RELEASE)\n" + LOOK,
        "#ifdef A\n#if defined(B) && !defined(C)\n" + PUT + "#else\n" + PUT + "#endif\n#endif\n" + LOOK,
        "#if 0\n" + PUT + "#endif\n" + LOOK,
    ],
)
def test_a_row_may_look_like_this(tmp_path, rows):
    assert scan(tmp_path, {"net/a.c": one_set(rows)}) == (BOTH, "")


def test_a_file_may_hold_any_bytes(tmp_path):
    text = one_set(PUT + LOOK)
    for number, odd in enumerate(
        (
            text.replace("\n", "\r\n"),
            "/* caf\xe9 \0 */\n" + text,
            text.rstrip("\n"),
            KFUNCS + "void g(void)\n{\n" + one_set(PUT + LOOK, "") + "}\n",
        )
    ):
        assert scan(tmp_path / str(number), {"net/a.c": odd.encode("latin-1")}) == (BOTH, ""), number


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("BTF_ID_FLAGS(func, put, (KF_RELEASE))\n", "net/a.c:8: flags '( KF_RELEASE )'"),
        ("BTF_ID_FLAGS(func, put, BIT(1))\n", "net/a.c:8: flags 'BIT ( 1 )'"),
        ("BTF_ID_FLAGS(func, put, 2)\n", "net/a.c:8: flags '2'"),
        ("BTF_ID_FLAGS(func, put, KF_A\n#ifdef X\n| KF_RCU\n#endif\n)\n", "net/a.c:8: flags 'KF_A #"),
        ("BTF_ID_FLAGS(func, a_##put, KF_RELEASE)\n", "net/a.c:8: BTF_ID_FLAGS(func, a_ ## put"),
        ("BTF_ID_FLAGS(func, NAME(put), KF_RELEASE)\n", "net/a.c:8: BTF_ID_FLAGS(func, NAME ( put )"),
        (
            "#define ROW(x) BTF_ID_FLAGS(func, x, KF_RCU)\nROW(look)\n",
            "net/a.c:9: look@ids: the macro ROW makes this row",
        ),
        ("ROWS\n", "net/a.c:8: 'ROWS' in the set ids"),
        ("ROWS(x)\n", "net/a.c:8: 'ROWS' in the set ids"),
    ],
)
def test_a_row_that_cannot_be_rewritten_is_refused(tmp_path, rows, said):
    assert said in scan(tmp_path, {"net/a.c": one_set(rows)})[1]


@pytest.mark.parametrize(
    ("kfunc", "flags"),
    [
        (f"__bpf_kfunc __attribute__((cold)) void f({T} *p)", FIRST),
        (f"__bpf_kfunc void f({T} *p) __must_hold(x)", FIRST),
        (f"__bpf_kfunc\nvoid\nf(\n\t{T} *p\n)", FIRST),
        (f"static noinline __bpf_kfunc void f({T} *p)", FIRST),
        (f"void f({T} *p)", FIRST),
        (f"__bpf_kfunc void (*f({T} *p))(int)", FIRST),
        (f"__bpf_kfunc void f(const {T} *const p, u32 n)", FIRST),
        (f"__bpf_kfunc void f({T} const* p, {T} * q)", SECOND),
        (f"__bpf_kfunc void f({T} *p, {T} **q)", FIRST),
        (f"__bpf_kfunc void f({T} *p, u64 a[4], char s[])", FIRST),
        (f"__bpf_kfunc void f({T} *p, struct cgroup c[])", SECOND),
        (f"__bpf_kfunc void f({T} *p, int (*cb)({T} *, void *), void *v)", FIRST),
        (f"__bpf_kfunc void f({T} *p, unsigned long *mask, const unsigned long m[2])", MEMORY),
        (f"__bpf_kfunc void f({T} *p, enum foo e, unsigned int n, long long x, __be32 y)", FIRST),
        (f"__bpf_kfunc void f({T} *p __maybe_unused, struct xdp_md *ctx __attribute__((unused)))", FIRST),
        (f'__bpf_kfunc void f({T} *p __attribute__((btf_type_tag("x"))), struct cgroup *c __aligned(8))', SECOND),
        (f"__bpf_kfunc void f(__attribute__((unused)) {T} *p, u32 n)", FIRST),
        (f"__bpf_kfunc void f({T} *, u32)", FIRST),
        (f"__bpf_kfunc void f({T} *p /* first, of two */, /* c */ struct cgroup *c)", SECOND),
        (f'MODULE_THING("x")\n\nBTF_ID(struct, x)\n\n__bpf_kfunc struct cgroup *f({T} *p)', FIRST),
        (f"__bpf_kfunc void f({T} *p, struct foo *m, u32 m__sz)", FIRST),
    ],
)
def test_a_prototype_may_look_like_this(tmp_path, kfunc, flags):
    text = one_set("BTF_ID_FLAGS(func, f, KF_RCU)\n", f"{kfunc}\n{{\n}}\n")
    assert scan(tmp_path, {"net/a.c": text}) == (flags, "")


@pytest.mark.parametrize(
    "kfunc",
    [
        f"BPF_KFUNC_DEFINE1(void, f, {T} *, p)\n{{\n}}\n",
        f"#define D(n) __bpf_kfunc void n##f({T} *p) {{ }}\nD()\n",
        f"__bpf_kfunc void f(p, q)\n\t{T} *p;\n\tstruct cgroup *q;\n{{\n}}\n",
        f"__bpf_kfunc void f({T} *p, MORE_PARAMETERS)\n{{\n}}\n",
        "__bpf_kfunc void f(PARAMETERS)\n{\n}\n",
        f"__bpf_kfunc void f({T} *p, ...)\n{{\n}}\n",
        f"void f({T} *p);\n",
        f"#define f real\n__bpf_kfunc void real({T} *p)\n{{\n}}\n",
        f"#ifdef A\n__bpf_kfunc void f({T} *p)\n{{\n}}\n#else\n__bpf_kfunc void f({T} *q, int n)\n{{\n}}\n#endif\n",
    ],
)
def test_a_prototype_that_does_not_tell_is_refused(tmp_path, kfunc):
    said = scan(tmp_path, {"net/a.c": one_set("BTF_ID_FLAGS(func, f, KF_RCU)\n", kfunc)})[1]
    assert "f@ids: " in said
    assert "decide by name" in said


@pytest.mark.parametrize(
    "body", ["BTF_ID_FLAGS(func, x, KF_RCU", "BTF_ID_FLAGS", "BTF_ID_FLAGS(func, x) BTF_ID_FLAGS(func, x)"]
)
def test_a_macro_that_makes_no_row_is_named(tmp_path, body):
    text = one_set(f"#define ROW(x) {body}\nROW(look)\n#undef ROW\n")
    assert "net/a.c:" in scan(tmp_path, {"net/a.c": text})[1]


def test_a_list_that_is_not_complete_is_named(tmp_path):
    rows = "#define ROW(x) BTF_ID_FLAGS(func, x, KF_RCU)\nLIST\n#undef ROW\n"
    files = {"net/a.c": '#include "list.h"\n' + one_set(rows), "net/list.h": "#define LIST ROW(look\n"}
    assert "net/a.c:10: LIST of net/list.h holds an incomplete use of a macro" in scan(tmp_path, files)[1]
