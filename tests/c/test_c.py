"""The C finders, on small texts written here and on real kernels against ctags."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest

from patchbot import c
from patchbot.c import Source, Span, parse
from patchbot.c.statements import statements_in
from patchbot.run import run


def source(text: str | bytes, path: str = "a.c") -> Source:
    return parse(path, text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode())


def names(src: Source) -> list[str]:
    return [f.name for f in c.functions(src)]


def texts(src: Source, spans: list[Span]) -> list[str]:
    return [src.at(s).decode() for s in spans]


def has_error(src: Source) -> bool:
    """Say whether something in a function's body is in no statement."""
    lexed, found = src.lexed, c.functions(src)
    cut = {n for first, statement in statements_in(src).items() for n in range(first, statement.last)}
    cut |= lexed.brackets.loose | {n for d in lexed.directives for n in range(d.first, d.last)}
    cut |= {n for f in found for n in range(*lexed.token_range(f.head.start, f.head.end))}
    bodies = [lexed.token_range(f.body.start + 1, f.body.end - 1) for f in found]
    return not all(cut.issuperset(range(first, last)) for first, last in bodies)


class TestTokens:
    def test_what_is_cut(self):
        text = b'a->b /* c */ += 0x1fUL; // d\n"s\\"t" \'\\n\' x...y <<= ##'
        assert [t.text for t in c.tokens(text)] == [
            b"a", b"->", b"b", b"+=", b"0x1fUL", b";", b'"s\\"t"', b"'\\n'", b"x", b"...", b"y", b"<<=", b"##",
        ]  # fmt: skip

    def test_offsets_and_limits(self):
        text = b"one two three"
        assert c.tokens(text, 4, 7) == [c.Token(4, 7, b"two")]
        assert c.tokens(text, 5) == [c.Token(8, 13, b"three")]
        assert c.tokens(text, 0, 6) == [c.Token(0, 3, b"one")]

    def test_continuations_are_skipped(self):
        assert [t.text for t in c.tokens(b"#define A \\\r\n b\\\n c")] == [b"#", b"define", b"A", b"b", b"c"]

    def test_a_comment_is_no_string_and_the_reverse(self):
        assert [t.text for t in c.tokens(b'"/*" /* " */ x')] == [b'"/*"', b"x"]

    def test_bytes_that_are_not_utf8(self):
        assert [t.text for t in c.tokens(b"a \xe4\xff b /* \xfc */")] == [b"a", b"\xe4", b"\xff", b"b"]

    @pytest.mark.parametrize("text", [b"", b" \n", b"/* open", b'"open', b"'", b"\\", b"\\\n", b"\0", b"#", b"# \n#"])
    def test_odd_ends(self, text: bytes):
        src = source(text)
        assert names(src) == []
        assert not statements_in(src)
        assert c.conditions_at(src, len(text)) == ()


class TestFunctions:
    def test_behind_macro_lines(self):
        src = source("""
            BTF_ID_LIST(ids)
            BTF_ID(struct, a)
            BTF_ID(func, b) BTF_ID(func, d)
            static int one(void)
            {
                return 1;
            }
            EXPORT_SYMBOL_GPL(one)

            __bpf_kfunc_start_defs();

            __bpf_kfunc int two(int a) { return a; }
            __bpf_kfunc_end_defs();
            BTF_KFUNCS_START(set)
            BTF_ID_FLAGS(func, two, KF_RCU |
                         KF_ACQUIRE)
            #ifdef X
            BTF_ID_FLAGS(func, three)
            #endif
            BTF_KFUNCS_END(set)
            static DEFINE_MUTEX(lock)
            static void three(void) { }
            """)
        assert names(src) == ["one", "two", "three"]
        assert not has_error(src)
        assert [src.at(f.span).split()[0] for f in c.functions(src)] == [b"static", b"__bpf_kfunc", b"static"]
        assert c.prototypes(src) == ()

    def test_parts(self):
        src = source("""
            /* comment */
            __bpf_kfunc
            struct task_struct *get(struct task_struct *p__nullable,
                                    const struct foo __rcu **q, u32 sz)
            {
                return p__nullable;
            }
            """)
        (f,) = c.functions(src)
        assert src.at(f.span).startswith(b"__bpf_kfunc\nstruct")
        assert src.at(f.span).endswith(b"nullable;\n}")
        assert src.at(f.head).endswith(b"u32 sz)")
        assert src.at(f.body) == b"{\n    return p__nullable;\n}"
        assert f.returns == "struct task_struct *"
        assert [(p.name, p.type) for p in f.params] == [
            ("p__nullable", "struct task_struct *"),
            ("q", "const struct foo __rcu **"),
            ("sz", "u32"),
        ]
        assert f.params[1].text == b"const struct foo __rcu **q"

    @pytest.mark.parametrize(
        ("head", "name", "returns", "params"),
        [
            ("int f(void)", "f", "int", []),
            ("int f()", "f", "int", []),
            ("static inline const char *f(int, ...)", "f", "const char *", [("", "int"), ("", "...")]),
            ("__printf(2, 3) static void f(const char *fmt, ...)", "f", "void", [("fmt", "const char *"), ("", "...")]),
            ("static __always_inline unsigned long f(unsigned int)", "f", "unsigned long", [("", "unsigned int")]),
            ("static int f(u8 a[16], u8 b[])", "f", "int", [("a", "u8 [16]"), ("b", "u8 []")]),
            (
                "int f(int (*cb)(struct x *, int), void *d)",
                "f",
                "int",
                [("cb", "int (*)(struct x *, int)"), ("d", "void *")],
            ),
            ("void (*f(int sig))(int)", "f", "void", [("sig", "int")]),
            ("static int f(struct x *)\n\t__acquires(lock)", "f", "int", [("", "struct x *")]),
            ("struct x *f(struct x x __maybe_unused)", "f", "struct x *", [("x", "struct x")]),
            (
                "void f(__attribute__((unused)) struct x *a, u32 *b __aligned(4))",
                "f",
                "void",
                [("a", "struct x *"), ("b", "u32 *")],
            ),
            ("__attribute__((noinline))\nstatic u64\nf(enum e e)", "f", "u64", [("e", "enum e")]),
            ("int __init f(void)", "f", "int", []),
            ("static noinline int f(union u u, foo_t)", "f", "int", [("u", "union u"), ("", "foo_t")]),
            ("static struct foo f(int a)", "f", "struct foo", [("a", "int")]),
        ],
    )
    def test_heads(self, head: str, name: str, returns: str, params: list[tuple[str, str]]):
        src = source(f"{head}\n{{\n\treturn;\n}}\n{head};\n".replace("{head}", head))
        (f,) = c.functions(src)
        (p,) = c.prototypes(src)
        for one in (f, p):
            assert (one.name, one.returns, [(p.name, p.type) for p in one.params]) == (name, returns, params)
        assert p.body.start == p.body.end
        assert not has_error(source(f"{head}\n{{\n\treturn;\n}}\n"))

    def test_by_parameter_types(self):
        src = source("""
            #ifdef A
            int f(const struct btf *btf, u32 id) { return 1; }
            #else
            int f(int a) { return 2; }
            #endif
            """)
        assert len(c.function(src, "f")) == 2
        (one,) = c.function(src, "f", ["const  struct btf *", "u32"])
        assert one.conditions == ("defined(A)",)
        assert c.function(src, "f", ["u32"]) == []
        assert c.function(src, "g") == []

    def test_alternative_heads_share_a_body(self):
        src = source("""
            #ifdef A
            static int f(int a)
            {
            #elif defined(B)
            static int g(int a)
            {
            #else
            static int h(void)
            {
            #endif
                return 0;
            }
            int after(void) { return 1; }
            """)
        assert names(src) == ["f", "g", "h", "after"]
        assert len({f.span.end for f in c.functions(src)}) == 2
        assert not has_error(src)
        assert texts(src, c.statements(src, "return 0;")) == ["return 0;"]

    def test_branches_inside_of_a_body(self):
        src = source("""
            int f(int a)
            {
            #ifdef A
                if (a) {
            #else
                if (!a) {
            #endif
                    a = 1;
            #ifdef A
                } else if (a > 1) {
            #endif
                }
                return a;
            }
            int g(void) { return 0; }
            """)
        assert names(src) == ["f", "g"]
        assert texts(src, c.statements(src, "return a;")) == ["return a;"]

    def test_what_is_none(self):
        src = source("""
            struct s { int (*op)(int); };
            static struct s s = { .op = f, };
            BTF_TYPE_SAFE_RCU(struct task_struct) {
                const int *p;
            };
            enum e { A = F(1), B };
            typedef int (*fn)(int);
            int x = f(1), y;
            static const struct s t[] = { { g }, };
            #define M(x) int x(void) { return 1; }
            module_init(start);
            """)
        assert names(src) == []

    def test_defined_by_a_macro(self):
        src = source("""
            SYSCALL_DEFINE2(open, const char __user *, name, int, flags)
            {
                return do_open(name, flags);
            }
            BPF_CALL_1(g, u32, x)
            {
                return x;
            }
            int h(void) { return 0; }
            """)
        assert names(src) == ["SYSCALL_DEFINE2", "BPF_CALL_1", "h"]
        assert texts(src, c.statements(src, "return $x;")) == ["return do_open(name, flags);", "return x;", "return 0;"]

    def test_crlf(self):
        src = source(b"BTF_ID(func, a)\r\nint f(int a)\r\n{\r\n\treturn a;\r\n}\r\n")
        assert names(src) == ["f"]
        assert src.at(c.line_span(src, c.find(src, "return a;")[0])) == b"\treturn a;\r\n"


class TestMacrosInABody:
    @pytest.mark.parametrize(
        "body",
        [
            "list_for_each_entry(pos, head, list) { a(); }",
            "list_for_each_entry(pos, head, list)\n\t\tif (pos) a();",
            "scoped_guard(mutex, &lock) { a(); }",
            "scoped() { a(); }",
            "bpf_for_each_reg_in_vstate(s, st, r, ({ if (r) a(); }));",
            "p = kzalloc_obj(struct foo, GFP_KERNEL); a();",
            "p = container_of(q, const struct foo, r); a();",
            "x = min_t(unsigned long, y, z); a();",
            "x = krealloc(p, offsetof(struct s, ids[n + 1]), GFP_KERNEL); a();",
            "void *p __free(kfree) = NULL; a();",
            "void __user *p = (void __user *)q; a();",
            "switch (x) { case A: for_each(y) { a(); } break; default: break; }",
            "if (x)\n#ifdef A\n\t{\n#else\n\t{\n#endif\n a(); }",
        ],
    )
    def test_macros_in_a_body(self, body: str):
        src = source(f"int f(void)\n{{\n\t{body}\n\treturn 0;\n}}\n")
        assert not has_error(src)
        assert texts(src, c.statements(src, "a();")) == ["a();"]
        assert texts(src, c.statements(src, "return 0;")) == ["return 0;"]


class TestConditions:
    TEXT = """
        #ifdef A /* why */
        a
        #if defined(B) && \\
            IS_ENABLED(CONFIG_C) // x
        b
        #elif defined D
        d
        #else /* B */
        e
        #endif
        #else
        f
        #endif /* A */
        #ifndef G
        g
        #else
        h
        #endif
        i
        """

    @pytest.mark.parametrize(
        ("mark", "conditions"),
        [
            ("a", ("defined(A)",)),
            ("b", ("defined(A)", "defined(B) && IS_ENABLED(CONFIG_C)")),
            ("d", ("defined(A)", "!(defined(B) && IS_ENABLED(CONFIG_C)) && (defined(D))")),
            ("e", ("defined(A)", "!(defined(B) && IS_ENABLED(CONFIG_C)) && !(defined(D))")),
            ("f", ("!(defined(A))",)),
            ("g", ("!defined(G)",)),
            ("h", ("!(!defined(G))",)),
            ("i", ()),
        ],
    )
    def test_stack(self, mark: str, conditions: tuple[str, ...]):
        src = source(self.TEXT)
        assert c.conditions_at(src, src.text.index(f"\n{mark}\n".encode()) + 1) == conditions

    def test_include_guard(self):
        text = "/* x */\n#ifndef _A_H\n#define _A_H\n#ifdef B\nint b;\n#endif\nint a;\n#endif /* _A_H */\n"
        src = source(text)
        assert c.conditions_at(src, text.index("int a")) == ()
        assert c.conditions_at(src, text.index("int b")) == ("defined(B)",)
        late = source(text + "int c;\n")
        assert c.conditions_at(late, text.index("int a")) == ("!defined(_A_H)",)

    def test_unbalanced(self):
        src = source("#endif\n#else\n#if A\n#if B\nx\n")
        assert c.conditions_at(src, src.text.index(b"x")) == ("A", "B")


class TestTypes:
    def test_members(self):
        src = source("""
            struct foo {
                u32 a, *b;
                struct bar __rcu *c;       /* c */
                unsigned int d:1;
                int (*op)(struct foo *, int);
                union {
                    u8 e[4];
                    struct { int f; };
                };
                struct { int x; } g;
                DECLARE_BITMAP(h, MAX);
                DECLARE_FLEX_ARRAY(u8, i);
                struct list_head list;
            } __packed;
            struct empty { };
            struct foo *user(struct foo *p);
            """)
        (foo,) = c.struct(src, "foo")
        assert [m.name for m in foo.members] == ["a", "b", "c", "d", "op", "e", "f", "g", "h", "i", "list"]
        assert src.at(foo.span).endswith(b"} __packed;")
        assert src.at(next(m.span for m in foo.members if m.name == "c")) == b"struct bar __rcu *c;"
        (empty,) = c.struct(src, "empty")
        assert empty.members == ()
        assert c.struct(src, "bar") == []

    def test_enumerators(self):
        src = source("enum kinds : u8 { A, B = F(1, 2), /* c */ C, };\nenum { X };\n")
        (kinds,) = c.enum(src, "kinds")
        assert [(m.name, src.at(m.span)) for m in kinds.members] == [("A", b"A"), ("B", b"B = F(1, 2)"), ("C", b"C")]
        assert [e.name for e in c.enums(src)] == ["kinds", ""]

    def test_macros(self):
        src = source("""
            #ifdef A
            #define F(a, ...) \\
                g(a, ##__VA_ARGS__) /* tail */
            #else
            # define F(a, ...)
            #endif
            #define N (1 << 0)
            """)
        one, two = c.macro(src, "F")
        assert (one.params, one.value, one.conditions) == (("a", "..."), b"g(a, ##__VA_ARGS__)", ("defined(A)",))
        assert (two.params, two.value, two.conditions) == (("a", "..."), b"", ("!(defined(A))",))
        assert src.at(one.span) == b"#define F(a, ...) \\\n    g(a, ##__VA_ARGS__) /* tail */\n"
        (n,) = c.macro(src, "N")
        assert (n.params, n.value) == (None, b"(1 << 0)")

    def test_initialisers(self):
        src = source("""
            static const struct x tab[] __initconst = { { 1 }, };
            int a = 1, b = f(2, 3);
            struct y { int a; } y = { .a = 4 };
            extern int c;
            """)
        for name, value in {"tab": "{ { 1 }, }", "a": "1", "b": "f(2, 3)", "y": "{ .a = 4 }"}.items():
            assert texts(src, c.initialisers(src, name)) == [value]
        assert c.initialisers(src, "c") == []

    def test_calls(self):
        src = source("""
            #define foo(x) bar(x)
            int foo(int a);
            int foo(int a) { return a; }
            int g(struct s *s) { s->foo(1); return foo(h(1, 2), (3, 4)) + foo(); }
            """)
        one, two = c.calls(src, "foo")
        assert texts(src, list(one.args)) == ["h(1, 2)", "(3, 4)"]
        assert two.args == ()
        assert c.calls(src, "foo", c.function(src, "foo")[0].span) == []


class TestFind:
    SRC = """
        int f(struct m *meta, int i)
        {
            if (is_release(meta)) /* why */
                meta->regno = BPF_REG_1;
            memset(&a, 0, sizeof(a));
            memset(&b, 0, sizeof(c));
            x = foo(meta->btf, &args[i], 3);
            env->p[foo(1)].meta->flags = g(1, 2);
            if (!x) {
                y = 1;
                return -EINVAL;
            }
            return 0;
        }
        #define ROW(a) \\
            foo(a)
        """

    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("meta ->regno=BPF_REG_1 ;", ["meta->regno = BPF_REG_1;"]),
            ("if (is_release($m)) $_;", None),
            ("memset(&$x, 0, sizeof($x));", ["memset(&a, 0, sizeof(a));"]),
            ("memset(&$x, 0, sizeof($y));", ["memset(&a, 0, sizeof(a));", "memset(&b, 0, sizeof(c));"]),
            ("foo($a, $b)", []),
            ("foo($a, $b, $c)", ["foo(meta->btf, &args[i], 3)"]),
            ("foo($_)", ["foo(meta->btf, &args[i], 3)", "foo(1)", "foo(a)"]),
            ("foo($...)", ["foo(meta->btf, &args[i], 3)", "foo(1)", "foo(a)"]),
            ("$m->flags", ["env->p[foo(1)].meta->flags"]),
            ("$m->regno", ["meta->regno"]),
            ("$x = 1", ["y = 1"]),
            ("if (!x) { $... }", None),
            ("#define ROW($a)", ["#define ROW(a)"]),
            ("nowhere", []),
            ("return $x; return $y;", []),
        ],
    )
    def test_patterns(self, pattern: str, found: list[str] | None):
        src = source(self.SRC)
        got = texts(src, c.find(src, pattern))
        if found is None:
            assert len(got) == 1
            assert got[0].endswith((";", "}"))
        else:
            assert got == found

    def test_bindings(self):
        src = source(self.SRC)
        (match,) = c.matches(src, "$m->flags = g($a, $b);")
        assert {k: src.at(v).decode() for k, v in match.bindings.items()} == {
            "m": "env->p[foo(1)].meta",
            "a": "1",
            "b": "2",
        }

    def test_within(self):
        src = source("int f(void) { return 0; }\nint g(void) { return 0; }\n")
        (g,) = c.function(src, "g")
        assert len(c.find(src, "return 0;")) == 2
        (found,) = c.find(src, "return 0;", g.span)
        assert found in g.span
        assert c.find(src, "return 0;", Span(g.body.start, found.end - 1)) == []

    def test_never_across_a_directive(self):
        src = source("int f(void)\n{\n\tg(a\n#ifdef X\n\t, b\n#endif\n\t);\n}\n")
        assert c.find(src, "g($_)") == []

    @pytest.mark.parametrize("pattern", ["", "$a", "$a $b x", "$"])
    def test_bad_patterns(self, pattern: str):
        with pytest.raises(c.PatternError, match="pattern"):
            c.find(source("x"), pattern)

    def test_statements_are_whole(self):
        src = source(self.SRC)
        assert texts(src, c.statements(src, "return 0;")) == ["return 0;"]
        assert c.statements(src, "is_release(meta)") == []
        assert c.find(src, "is_release(meta)") != []
        assert len(c.statements(src, "if (is_release($m)) $_;")) == 1
        assert texts(src, c.statements(src, "y = 1; return -EINVAL;")) == ["y = 1;\n        return -EINVAL;"]
        assert texts(src, c.statements(src, "$x = g($_);")) == ["env->p[foo(1)].meta->flags = g(1, 2);"]
        assert c.statements(src, "= 1; return -EINVAL;") == []
        assert c.statements(src, "return -EINVAL; }") == []

    def test_no_statement_with_an_error(self):
        src = source("int f(void)\n{\n\tif (a b c)\n\t\tx = 1;\n\ty = 2;\n}\n")
        assert c.find(src, "if ($_) x = 1;") != []
        assert c.statements(src, "if ($...) x = 1;") == []
        assert texts(src, c.statements(src, "y = 2;")) == ["y = 2;"]

    def test_comments(self):
        src = source(
            '/*\n * Kernel Function (kfunc)\n * ID set\n */\nint a; // Grow set\nchar *s = "/* Grow set */";\n'
        )
        assert len(c.comments(src, "(kfunc) ID set")) == 1
        (grow,) = c.comments(src, "Grow  set")
        assert src.line(grow.start) == 5

    def test_nearest(self):
        src = source(self.SRC)
        near = c.nearest(src, "meta->regno = BPF_REG_2;")
        assert near is not None
        assert (near.line, near.excerpt.strip()) == (4, "meta->regno = BPF_REG_1;")
        assert 0.5 < near.likeness < 1
        assert c.nearest(src, "nothing_like_this(at, all);") is None

    def test_where_and_lines(self):
        src = source("a\nbb\nccc", "x/y.c")
        assert [src.line(i) for i in (0, 1, 2, 5)] == [1, 1, 2, 3]
        assert src.where(5) == "x/y.c:3"
        assert c.line_span(src, Span(5, 6)) == Span(5, 8)
        assert c.line_span(src, Span(0, 4)) == Span(0, 5)


class TestHostile:
    TEXTS = {
        "openings": b"(" * 200_000,
        "closings": b"int f(void) {" + b"}" * 200_000,
        "mixed": b"({[" * 70_000 + b")" * 70_000,
        "open, then braces": b"(" * 100_000 + b"}" * 100_000,
        "conditionals": b"#if A\n{\n#else\n{\n" * 20_000,
        "words": b"x " * 200_000,
        "spaces": b"x" + b" " * 2_000_000,
        "quotes": b'"' + b"'\"" * 100_000,
        "comment": b"/*" * 200_000,
        "hashes": b"#\n" * 100_000,
        "slashes": b"/" * 100_000 + b"\\" * 100_000,
        "calls": b"int f(void) {" + b"f(a," * 50_000,
        "twins": b"#if A\nint f(void) {\n#else\nint g(void) {\n#endif\n}\n" * 20_000,
        "zeros": b"\0" * 200_000,
        "structs": b"struct a { " * 20_000,
        "else": b"#else\n#endif\n#elif\n" * 30_000,
        "blocks": b"int f(void) {" + b"{" * 100_000 + b"}" * 100_000 + b"}",
        "expressions": b"int f(void) {" + b"({" * 50_000 + b"})" * 50_000 + b"}",
        "conditions": b"int f(void) {" + b"if (x) ; else " * 50_000 + b";}",
        "labels": b"int f(void) {" + b"case x: do a: " * 50_000 + b";}",
    }

    @pytest.mark.parametrize("name", TEXTS)
    def test_ends(self, name: str):
        begin = time.monotonic()
        src = Source("hostile.c", self.TEXTS[name])
        c.functions(src)
        c.structs(src)
        c.macros(src)
        c.comments(src, "x")
        c.find(src, "f($_, $_, $_);")
        c.statements(src, "f($_, $_);")
        c.nearest(src, "f(a, x);")
        assert all(first < statement.last for first, statement in statements_in(src).items())
        assert time.monotonic() - begin < 20

    def test_a_large_file(self):
        text = b"static int f(int a)\n{\n\tif (a)\n\t\treturn g(a, 1);\n\treturn 0;\n}\n\n" * 60_000
        begin = time.monotonic()
        src = Source("large.c", text)
        assert len(c.functions(src)) == 60_000
        assert len(c.find(src, "return g($_);")) == 60_000
        assert time.monotonic() - begin < 30

    def test_a_brace_too_many_spares_the_functions_before_and_after(self):
        src = source("int a(void) { return 0; }\n}\nint b(void) { return 1; }\n")
        assert names(src) == ["a", "b"]


def ctags_functions(path: Path) -> Counter[str]:
    done = run(["ctags", "-x", "--language-force=C", "--kinds-C=f", path])
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return Counter(line.split()[0] for line in lines)


@pytest.mark.kernel
class TestRealKernel:
    @pytest.fixture
    def ctags(self) -> None:
        if shutil.which("ctags") is None:
            pytest.skip("no ctags (package universal-ctags)")

    def test_every_function_that_ctags_finds(self, kernel, ctags, tmp_path):
        paths = [p for p in kernel.repo.grep(kernel.commit, ["BTF_KFUNCS_START"]) if p.endswith(".c")]
        assert len(paths) > 20
        for path in sorted({*paths, "kernel/bpf/verifier.c", "kernel/bpf/btf.c"}):
            text = kernel.repo.read(kernel.commit, path)
            (tmp_path / "a.c").write_bytes(text)
            src = parse(path, text)
            mine = Counter(names(src))
            missing = {
                name
                for name in ctags_functions(tmp_path / "a.c") - mine
                # ctags takes macro lines (upper case) and, once a file, a type's tag for functions.
                if not name.isupper() and name not in mine
            }
            assert missing == set(), path

    def test_function_bodies_parse(self, kernel):
        for path in ("kernel/bpf/verifier.c", "kernel/bpf/btf.c"):
            text = kernel.repo.read(kernel.commit, path)
            src = Source(path, text)
            begin = time.monotonic()
            found = c.functions(src)
            assert not has_error(src), path
            assert time.monotonic() - begin < 2
            assert len(found) > 250

    def test_places_of_the_series(self, kernel):
        btf = parse("kernel/bpf/btf.c", kernel.repo.read(kernel.commit, "kernel/bpf/btf.c"))
        (register,) = c.function(btf, "__register_btf_kfunc_id_set")
        assert len(c.statements(btf, "ret = btf_populate_kfunc_set(btf, hook, kset);", register.span)) == 1
        (tab,) = c.struct(btf, "btf_kfunc_set_tab")
        assert [m.name for m in tab.members] == ["sets", "hook_filters"]
        ids = parse("include/linux/btf_ids.h", kernel.repo.read(kernel.commit, "include/linux/btf_ids.h"))
        assert [m.conditions for m in c.macro(ids, "BTF_ID_FLAGS")] == [
            ("defined(CONFIG_DEBUG_INFO_BTF)",),
            ("!(defined(CONFIG_DEBUG_INFO_BTF))",),
        ]
