from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RealKernel
from toolchain import needs_s390

from patchbot.campaigns.kfunc_flags.proof.btf import Param, parse, read_prototypes
from patchbot.campaigns.kfunc_flags.proof.meaning import (
    BPF_TYPES,
    BTF_H,
    BTF_IDS_H,
    VERIFIER,
    Effect,
    Rule,
    classify,
    effects,
    read_flags,
    read_rule,
    spell,
    unread_flags,
)
from patchbot.errors import ToolError
from patchbot.run import run

FIRST = Rule("first", contexts=frozenset({"__sk_buff", "bpf_user_pt_regs_t"}))
REFERENCED = Rule("referenced", null=True)

C = """
typedef unsigned int u32;
typedef _Bool bool_t;
struct task_struct;
struct cpumask { unsigned long bits[1]; };
typedef struct cpumask cpumask_t;
typedef struct { int x; } nameless;
struct bpf_dynptr { int a; };
struct bpf_prog_aux { int a; };
struct btf_struct_meta { int a; };
struct bpf_iter_dsq { int a; };
struct bpf_list_node { int a; };
struct pt_regs { int a; };
typedef struct pt_regs bpf_user_pt_regs_t;
enum how { FAST, SLOW };
typedef int (callback_t)(void *);
typedef int (*pointer_t)(void *);
#define KFUNC __attribute__((used, noinline))
KFUNC int objects(const struct task_struct *p, cpumask_t *const mask, u32 cpu, enum how how) { return 0; }
KFUNC int sized(struct cpumask *buf, u32 buf__sz, void *mem, int mem__szk, bool_t *one) { return 0; }
KFUNC int aux(nameless *n, struct bpf_prog_aux *aux, struct cpumask *after) { return 0; }
KFUNC int meta(void *p__alloc, struct btf_struct_meta *meta) { return 0; }
KFUNC int ignored(struct cpumask *m__ign, struct cpumask *k) { return 0; }
KFUNC int iter_new(struct bpf_iter_dsq *it, struct cpumask *m) { return 0; }
KFUNC int iter_arg(struct bpf_iter_dsq *it__iter, struct cpumask *m) { return 0; }
KFUNC int calls(callback_t *cb, pointer_t fn, struct bpf_list_node *node, struct bpf_dynptr *d) { return 0; }
KFUNC int regs(bpf_user_pt_regs_t *ctx, struct pt_regs *regs, struct bpf_dynptr *d__refcounted_kptr) { return 0; }
KFUNC int nothing(void) { return 0; }
KFUNC int more(const char *fmt__str, ...) { return 0; }
KFUNC static int hidden(struct cpumask **m) { return 0; }
"""


@pytest.fixture(scope="module")
def prototypes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Param, ...]]:
    folder = tmp_path_factory.mktemp("c")
    (folder / "k.c").write_text(C)
    run(["gcc", "-g", "-gdwarf-4", "-O2", "-c", "-o", folder / "k.o", folder / "k.c"])
    return dict(read_prototypes(folder / "k.o"))


@needs_s390
def test_prototypes_are_read_in_any_byte_order(prototypes: dict[str, tuple[Param, ...]], tmp_path: Path) -> None:
    (tmp_path / "k.c").write_text(C)
    run(["s390x-linux-gnu-gcc", "-g", "-gdwarf-4", "-O2", "-c", "-o", tmp_path / "k.o", tmp_path / "k.c"])
    assert read_prototypes(tmp_path / "k.o") == prototypes


@pytest.mark.parametrize(
    ("name", "flags", "classes"),
    [
        ("objects", (), "object object scalar scalar"),
        ("sized", (), "memory scalar memory scalar memory"),
        ("aux", ("KF_IMPLICIT_ARGS",), "object implicit implicit"),
        ("aux", (), "object ignored object"),
        ("meta", ("KF_IMPLICIT_ARGS",), "allocated implicit"),
        ("ignored", (), "ignored object"),
        ("iter_new", ("KF_ITER_NEW",), "iterator object"),
        ("iter_new", (), "object object"),
        ("iter_arg", (), "iterator object"),
        ("calls", (), "callback callback|list node|dynptr"),
        ("regs", (), "context object refcounted"),
        ("nothing", (), ""),
        ("more", (), "string other"),
        ("hidden", (), "memory"),
    ],
)
def test_compiled_parameters_are_classified(
    prototypes: dict[str, tuple[Param, ...]], name: str, flags: tuple[str, ...], classes: str
) -> None:
    wanted = classes.replace("|", " ").replace("list node", "list_node").split()
    assert [c.replace(" ", "_") for c in classify(name, prototypes[name], flags, FIRST)] == wanted


def args(*texts: str) -> list[tuple[str, ...]]:
    return [tuple(t.split()) for t in texts]


@pytest.mark.parametrize(
    ("name", "rule", "whole", "flags", "arguments"),
    [
        ("objects", FIRST, "KF_RELEASE", "", args("KFA_RELEASE")),
        ("objects", FIRST, "KF_RCU", "", args("KFA_RCU", "KFA_RCU")),
        ("objects", FIRST, "KF_RCU KF_RELEASE KF_SLEEPABLE", "KF_SLEEPABLE", args("KFA_RCU KFA_RELEASE", "KFA_RCU")),
        ("sized", REFERENCED, "KF_RCU", "", args("KFA_RCU", "", "KFA_RCU", "", "KFA_RCU")),
        ("iter_new", FIRST, "KF_ITER_NEW KF_RCU", "KF_ITER_NEW", args("", "KFA_RCU")),
        ("aux", FIRST, "KF_IMPLICIT_ARGS KF_RCU", "KF_IMPLICIT_ARGS", args("KFA_RCU")),
        ("calls", FIRST, "KF_RELEASE", "", args("KFA_RELEASE")),
        ("meta", REFERENCED, "KF_IMPLICIT_ARGS KF_RELEASE", "KF_IMPLICIT_ARGS", args("KFA_RELEASE")),
        ("ignored", REFERENCED, "KF_RELEASE", "", args("", "KFA_RELEASE")),
    ],
)
def test_an_exact_conversion_has_the_same_effects(
    prototypes: dict[str, tuple[Param, ...]],
    name: str,
    rule: Rule,
    whole: str,
    flags: str,
    arguments: list[tuple[str, ...]],
) -> None:
    before = effects(name, whole.split(), (), prototypes[name], rule)
    assert effects(name, flags.split(), arguments, prototypes[name], rule) == before


@pytest.mark.parametrize(
    ("name", "whole", "flags", "arguments"),
    [
        ("objects", "KF_RELEASE", "", args("KFA_RCU")),
        ("objects", "KF_RELEASE", "", args("", "KFA_RELEASE")),
        ("objects", "KF_RELEASE", "", args()),
        ("objects", "KF_RCU", "", args("KFA_RCU")),
        ("objects", "KF_RCU", "", args("", "KFA_RCU")),
        ("objects", "KF_RCU", "", args("KFA_RCU", "KFA_RCU", "KFA_RCU")),
        ("objects", "KF_RCU KF_SLEEPABLE", "", args("KFA_RCU", "KFA_RCU")),
        ("iter_new", "KF_ITER_NEW KF_RCU", "KF_ITER_NEW", args("KFA_RCU", "KFA_RCU")),
        ("nothing", "KF_RCU", "", args()),
        ("sized", "KF_RCU", "", args("KFA_RCU")),
    ],
)
def test_a_wrong_conversion_has_other_effects(
    prototypes: dict[str, tuple[Param, ...]],
    name: str,
    whole: str,
    flags: str,
    arguments: list[tuple[str, ...]],
) -> None:
    before = effects(name, whole.split(), (), prototypes[name], FIRST)
    assert effects(name, flags.split(), arguments, prototypes[name], FIRST) != before


ARENA_TOOL = b"""
static bool is_arena_arg(const struct btf *btf, const struct kfunc *kfunc,
             const struct btf_param *param, u32 idx)
{
    /* not KF_ARENA_ARG2 */
    switch (idx) {
    case 0:
        return kfunc->flags & KF_ARENA_ARG1;%s
    }
}
static int other(u32 flags) { return flags & KF_ARENA_ARG2; }
"""


@pytest.mark.parametrize(
    ("tool", "unread"),
    [
        (b"", {"KFA_ARENA"}),
        (ARENA_TOOL % b"", {"KF_ARENA_ARG2", "KFA_ARENA"}),
        (ARENA_TOOL % b" case 1: return kfunc->flags & KF_ARENA_ARG2;", {"KFA_ARENA"}),
        (ARENA_TOOL % b" case 1: return f(KF_ARENA_ARG2, KFA_ARENA);", set()),
    ],
)
def test_what_a_tool_does_not_read_gives_no_address_space(tool: bytes, unread: set[str]) -> None:
    """The prototype that programs see would lose it, and nothing else would show that."""
    assert unread_flags(tool) == unread
    before = effects("f", ("KF_ARENA_ARG1",), (), None, FIRST, frozenset())
    after = effects("f", (), args("KFA_ARENA"), None, FIRST, unread_flags(tool))
    assert before == {Effect(0, "address space of arenas")}
    assert (after == before) is ("KFA_ARENA" not in unread)
    assert effects("f", (), args("", "KFA_ARENA"), None, FIRST) != before


def test_a_flag_without_an_argument_to_be_about_stays_whole(prototypes: dict[str, tuple[Param, ...]]) -> None:
    assert effects("x", ("KF_RCU",), (), None, FIRST) == {Effect(None, "rcu of unknown arguments")}
    held = effects("meta", ("KF_IMPLICIT_ARGS", "KF_RCU"), (), prototypes["meta"], FIRST)
    assert held == {Effect(None, "KF_IMPLICIT_ARGS"), Effect(None, "rcu of no argument")}
    two = effects("objects", ("KF_RELEASE",), (), prototypes["objects"], REFERENCED)
    assert two == {Effect(None, "release of whichever is referenced")}


def test_flags_are_read_from_headers() -> None:
    text = (
        b"/* #define KF_OLD (1 << 9) is gone */\n#define KF_RELEASE\t(1 << 3) /* releases */\n#define KF_RCU BIT(4)\n"
    )
    text += b"#define KF_BOTH (KF_RCU | \\\n\tKF_RELEASE)\n#define KFA_RCU 0x10\n#define KFX 1\n"
    flags = read_flags(text, b"#define BTF_SET8_KFUNC_ARGS (1 << 1)\n")
    assert flags.kfunc == {"KF_RELEASE": 8, "KF_RCU": 16, "KF_BOTH": 24}
    assert flags.argument == {"KFA_RCU": 16}
    assert flags.trailer == 2
    assert spell(8 | 16 | 64, flags.kfunc) == ("KF_RCU", "KF_RELEASE", "0x40")
    with pytest.raises(ToolError, match=r"btf.h:2: KF_RCU is defined as 'odd\(\)'"):
        read_flags(b"\n#define KF_RCU odd()\n", b"")
    with pytest.raises(ToolError, match="no `#define KF_RELEASE"):
        read_flags(b"#define KF_RCU 1\n", b"")
    with pytest.raises(ToolError, match="defined twice"):
        read_flags(b"#define KF_RCU 1\n#define KF_RCU 2\n", b"")


def test_the_rule_is_read_from_the_verifier() -> None:
    types = b"BPF_PROG_TYPE(BPF_PROG_TYPE_XDP, xdp,\n\tstruct xdp_md, struct xdp_buff)\n"
    old = b"if (is_kfunc_release(meta))\n\tmeta->release_regno = BPF_REG_1;\n"
    assert read_rule(old, types) == Rule("first", contexts=frozenset({"xdp_md"}))
    new = b"""static int kfunc_release_regno(const struct meta *meta)
{
	if (meta->kfunc_flags & KF_RELEASE)
		return BPF_REG_1;
	return 0;
}
	meta->release_regno = kfunc_release_regno(meta);
"""
    assert read_rule(new, types).release == "first"
    short = new.replace(b"if (meta->kfunc_flags & KF_RELEASE)\n\t\t", b"").replace(
        b"return BPF_REG_1;\n\treturn 0", b"%s"
    )
    assert read_rule(short % b"return meta->kfunc_flags & KF_RELEASE ? BPF_REG_1 : 0", types).release == "first"
    with pytest.raises(ToolError, match="cannot tell"):
        read_rule(new.replace(b"BPF_REG_1", b"BPF_REG_2"), types)
    with pytest.raises(ToolError, match="cannot tell"):
        read_rule(b"/* release_regno = BPF_REG_1; */", types)
    dynamic = b"if (is_kfunc_release(meta)) meta->release_regno = regno;\n"
    dynamic += (
        b"if ((is_kfunc_trusted_args(meta) || is_kfunc_rcu(meta)) &&\n (register_is_null(reg) || type_may_be_null(x)))"
    )
    assert read_rule(dynamic, types) == Rule("referenced", True, frozenset({"xdp_md"}))


def test_damaged_btf_is_an_error() -> None:
    for blob in (b"", b"\x9f\xeb\1", b"text of some length, no BTF", b"\x9f\xeb\1\0" + bytes(4) + b"\xff" * 16):
        with pytest.raises(ToolError):
            parse(blob)


def test_an_object_without_debug_information_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "k.c").write_text("int f(void) { return 0; }")
    run(["gcc", "-c", "-o", tmp_path / "k.o", tmp_path / "k.c"])
    with pytest.raises(ToolError, match=r"k\.o"):
        read_prototypes(tmp_path / "k.o")


@pytest.mark.kernel
def test_flags_and_rule_of_real_kernels(kernel: RealKernel) -> None:
    texts = [kernel.repo.read(kernel.commit, path) or b"" for path in (BTF_H, BTF_IDS_H, VERIFIER, BPF_TYPES)]
    flags, rule = read_flags(texts[0], texts[1]), read_rule(texts[2], texts[3])
    assert {"KF_ACQUIRE", "KF_RELEASE", "KF_RCU", "KF_ITER_NEW", "KF_SLEEPABLE"} <= set(flags.kfunc)
    assert len(set(flags.kfunc.values())) == len(flags.kfunc)
    assert {"__sk_buff", "xdp_md"} <= rule.contexts
    assert "bpf_cast_to_kern_ctx" in rule.context_kfuncs
    # Kernels that release register 1 refuse NULL everywhere, those that look for the reference do so with KF_RCU.
    assert rule.null == (rule.release == "referenced")
