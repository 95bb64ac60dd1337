"""Hide rows of real kernels in every way that C has and count who is fooled: `make sites-mutants`.

Each mutant is a real tree with a few files laid over it. It must be refused, with its place, or the inventory and the
preprocessor must both see exactly the rows that the mutant has: those of the tree, more or fewer by what it added or
took away. Anything else is a site lost in silence.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.sites.expansion import compared
from patchbot.campaigns.kfunc_flags.sites.files import candidates
from patchbot.campaigns.kfunc_flags.sites.inventory import audit
from patchbot.campaigns.kfunc_flags.sites.nouns import Row
from patchbot.campaigns.kfunc_flags.sites.sets import read_sets
from patchbot.config import load
from patchbot.errors import UserError
from patchbot.git.grep import GrepCache
from patchbot.git.repo import Repo
from patchbot.series.tree import Tree

BTF_H = "include/linux/btf.h"
NAMES = (
    "sets.inc",
    "foo.def",
    "kfuncs",
    "sets.tbl",
    "a/b/rows.list",
    "sets.txt",
    "README",
    "x.c.in",
    "sets.h",
    "s-e.t.s",
)
ALIASES = (
    "(1 << {n})",
    "{hex}",
    "{dec}",
    "BIT({n})",
    "(1U << {n})",
    "{orig}",
    "({orig})",
    "0{oct}",
    "(1 << ({n}))",
    "_BITUL({n})",
)


@dataclasses.dataclass(frozen=True)
class Site:
    """A row of a tree, the text of its file and where its set begins and ends in it."""

    tree: Tree
    row: Row
    text: str
    start: int
    end: int

    @property
    def folder(self) -> str:
        return self.row.file.rpartition("/")[0]

    @property
    def flags(self) -> str:
        return " | ".join(self.row.flags) or "0"

    @property
    def own(self) -> str:
        """The row's text."""
        return self.text[self.row.span.start : self.row.span.end]

    @property
    def rows(self) -> int:
        """How many rows the set has."""
        return sum(r.set == self.row.set for r in read_sets(self.tree, self.row.file).rows)

    def instead(self, new: str, before: str = "") -> dict[str, str]:
        """Return the file with another row, and something before its set."""
        made = self.text[self.start : self.row.span.start] + new + self.text[self.row.span.end :]
        return {self.row.file: self.text[: self.start] + before + made}

    def whole(self, new: str) -> dict[str, str]:
        """Return the file with something in place of its set."""
        return {self.row.file: self.text[: self.start] + new + self.text[self.end :]}

    @property
    def set(self) -> str:
        return self.text[self.start : self.end]


Made = tuple[dict[str, str], int]
MUTATORS: dict[str, Callable[[Site, random.Random], Made | None]] = {}


def mutator(function: Callable[[Site, random.Random], Made | None]) -> Callable[[Site, random.Random], Made | None]:
    """Make a function one of the mutators, under its name."""
    MUTATORS[function.__name__.replace("_", " ")] = function
    return function


@mutator
def set_in_a_file_of_another_name(site: Site, rng: random.Random) -> Made:
    name = rng.choice(NAMES)
    line = rng.choice(('#include "{}"', '#  include  "{}"', '#include "./{}" /* the sets */', "#include <{}>")).format(
        name
    )
    return {**site.whole(line + "\n"), f"{site.folder}/{name}": site.set + "\n"}, 0


@mutator
def set_by_a_chain_of_files(site: Site, rng: random.Random) -> Made:
    one = rng.choice(NAMES)
    files = {f"{site.folder}/{one}": f'#include "{Path(one).name}.x"\n', f"{site.folder}/{one}.x": site.set + "\n"}
    return {**site.whole(f'#include "{one}"\n'), **files}, 0


@mutator
def set_by_a_computed_include(site: Site, rng: random.Random) -> Made:
    name = rng.choice(NAMES)
    return {**site.whole(f'#define SETS "{name}"\n#include SETS\n'), f"{site.folder}/{name}": site.set + "\n"}, 0


@mutator
def rows_in_an_included_file(site: Site, rng: random.Random) -> Made:
    name = rng.choice(NAMES)
    return {**site.instead(f'#include "{name}"\n'), f"{site.folder}/{name}": site.own + "\n"}, 0


@mutator
def macro_outside_of_the_set(site: Site, rng: random.Random) -> Made:
    body = rng.choice(("BTF_ID_FLAGS(func, x, f)", "BTF_ID_FLAGS(func, x, f | KF_RCU)", "BTF_ID(func, x)"))
    return site.instead(f"HIDDEN({site.row.kfunc}, {site.flags})", f"#define HIDDEN(x, f) {body}\n"), 0


@mutator
def macro_inside_of_the_set(site: Site, rng: random.Random) -> Made:
    head, use = rng.choice((("x, f", f"{site.row.kfunc}, {site.flags}"), ("x, ...", f"{site.row.kfunc}, {site.flags}")))
    flag = "f" if "f" in head else "__VA_ARGS__"
    new = f"#define HIDDEN({head}) BTF_ID_FLAGS(func, x, {flag})\nHIDDEN({use})\n#undef HIDDEN\n"
    return site.instead("\n" + new), 0


@mutator
def macro_of_two_forms(site: Site, rng: random.Random) -> Made:
    one, two = (
        f"BTF_ID_FLAGS(func, x, {site.flags})",
        rng.choice(("", "BTF_ID(func, x)", "BTF_ID_FLAGS(func, x, KF_SLEEPABLE)")),
    )
    if rng.random() < 0.5:
        one, two = two, one
    new = f"\n#ifdef CONFIG_X\n#define HIDDEN(x) {one}\n#else\n#define HIDDEN(x) {two}\n#endif\n"
    return (site.instead(f"{new}HIDDEN({site.row.kfunc})"), 0) if rng.random() < 0.5 else (
        site.instead(f"HIDDEN({site.row.kfunc})", new), 0
    )  # fmt: skip


@mutator
def macro_that_makes_the_set(site: Site, rng: random.Random) -> Made:
    one = f"BTF_KFUNCS_START(n) BTF_ID_FLAGS(func, {site.row.kfunc}, {site.flags}) BTF_KFUNCS_END(n)"
    ways = (
        f"#define MAKE(n) {one}\nMAKE(hidden_ids)\n",
        f"#define MAKE(n) \\\n{one.replace(' ', ' ' + chr(92) + chr(10))}\nMAKE(hidden_ids)\n",
    )
    return site.whole(site.set + "\n" + rng.choice(ways)), 1


@mutator
def macro_that_makes_the_set_in_a_header(site: Site, rng: random.Random) -> Made:
    header = "#define MY_START(n) BTF_KFUNCS_START(n)\n#define MY_END(n) BTF_KFUNCS_END(n)\n"
    header += "#define MY_ROW(x, f) BTF_ID_FLAGS(func, x, f)\n"
    use = f"MY_START(hidden_ids)\nMY_ROW({site.row.kfunc}, {site.flags})\nMY_END(hidden_ids)\n"
    return {**site.whole(f'{site.set}\n#include "my_sets.h"\n{use}'), f"{site.folder}/my_sets.h": header}, 1


@mutator
def start_under_another_name(site: Site, rng: random.Random) -> Made:
    name = site.row.set
    return site.whole("#define S BTF_KFUNCS_START\n" + site.set.replace(f"BTF_KFUNCS_START({name})", f"S({name})")), 0


@mutator
def kfunc_pasted(site: Site, rng: random.Random) -> Made:
    cut = rng.randrange(1, len(site.row.kfunc))
    one, two = site.row.kfunc[:cut], site.row.kfunc[cut:]
    if rng.random() < 0.5:
        return site.instead(f"BTF_ID_FLAGS(func, GLUE({one}, {two}), {site.flags})", "#define GLUE(a, b) a##b\n"), 0
    new = f"\n#define HIDDEN(x) BTF_ID_FLAGS(func, {one}##x, {site.flags})\nHIDDEN({two})"
    return site.instead(new), 0


@mutator
def macro_pasted(site: Site, rng: random.Random) -> Made:
    one, two = rng.choice((("BTF_ID_", "FLAGS"), ("BTF", "_ID_FLAGS"), ("BTF_", "ID_FLAGS"), ("BTF_ID_FLAG", "S")))
    paste = "#define GLUE(a, b) a##b\n"
    return site.instead(f"GLUE({one}, {two})(func, {site.row.kfunc}, {site.flags})", paste), 0


@mutator
def set_pasted(site: Site, rng: random.Random) -> Made:
    one, two = rng.choice((("BTF_KFUNCS_", "{}"), ("BTF_KFUNCS", "_{}"), ("BTF_", "KFUNCS_{}")))
    paste = "#define GLUE(a, b) a##b\n#define MINE(x, f) BTF_ID_FLAGS(func, x, f)\n"
    head, tail = (f"GLUE({one}, {two.format(word)})({site.row.set})" for word in ("START", "END"))
    return site.whole(f"{paste}{head}\nMINE({site.row.kfunc}, {site.flags})\n{tail}\n"), 1 - site.rows


@mutator
def set_pasted_in_a_header(site: Site, rng: random.Random) -> Made:
    header = "#define OPEN(a, n) a##_START(n)\n#define SHUT(a, n) a##_END(n)\n"
    header += "#define GLUE_ROW(a, x, f) a##_FLAGS(func, x, f)\n"
    name, row = site.row.set, f"GLUE_ROW(BTF_ID, {site.row.kfunc}, {site.flags})"
    use = f"OPEN(BTF_KFUNCS, {name})\n{row}\nSHUT(BTF_KFUNCS, {name})\n"
    return {**site.whole(f'#include "glue.h"\n{use}'), f"{site.folder}/glue.h": header}, 1 - site.rows


@mutator
def flag_pasted(site: Site, rng: random.Random) -> Made | None:
    if not site.row.flags:
        return None
    flag = site.row.flags[0].removeprefix("KF_")
    return site.instead(f"BTF_ID_FLAGS(func, {site.row.kfunc}, K({flag}))", "#define K(x) KF_##x\n"), 0


@mutator
def flags_by_a_macro(site: Site, rng: random.Random) -> Made:
    name = rng.choice(("MY_FLAGS", "KF_MINE"))
    return site.instead(f"BTF_ID_FLAGS(func, {site.row.kfunc}, {name})", f"#define {name} {site.flags}\n"), 0


@mutator
def flag_under_another_name(site: Site, rng: random.Random) -> Made | None:
    flag = next((f for f in site.row.flags if f in ("KF_RCU", "KF_RELEASE", "KF_ACQUIRE")), None)
    header = site.tree.read(BTF_H).decode("latin-1")
    match = re.search(rf"#define {flag}\s+\(1 << (\d+)\)", header)
    if flag is None or match is None:
        return None
    n = int(match[1])
    value = rng.choice(ALIASES).format(n=n, hex=hex(1 << n), dec=1 << n, orig=flag, oct=f"{1 << n:o}")
    name = rng.choice(("KF_SECOND", "SECOND"))
    line = rng.choice((f"#define {name} {value}\n", f"enum {{ {name} = {value} }};\n"))
    flags = " | ".join(name if f == flag else f for f in site.row.flags)
    new = f"BTF_ID_FLAGS(func, {site.row.kfunc}, {flags})"
    if rng.random() < 0.3:
        return site.instead(new, line), 0
    where = header.index("#define KF_ACQUIRE")
    return {**site.instead(new), BTF_H: header[:where] + line + header[where:]}, 0


@mutator
def flag_as_a_number(site: Site, rng: random.Random) -> Made:
    return site.instead(
        f"BTF_ID_FLAGS(func, {site.row.kfunc}, {rng.choice(('0x80', '2', '(1 << 7)', 'BIT(1)', '(KF_RCU)'))})"
    ), 0


@mutator
def flag_redefined(site: Site, rng: random.Random) -> Made | None:
    if not site.row.flags:
        return None
    flag, other = site.row.flags[0], rng.choice(("KF_RELEASE", "KF_RCU", "0"))
    lines = f"#undef {flag}\n#define {flag} {other}\n" if flag != other else f"#undef {flag}\n#define {flag} 0\n"
    return site.instead(site.own, lines), 0


@mutator
def words_redefined(site: Site, rng: random.Random) -> Made:
    word = rng.choice(
        (f"put_instead {site.row.kfunc}", "BTF_ID_FLAGS(p, n, ...) BTF_ID(p, n)", f"{site.row.set} my_ids")
    )
    word = word if not word.startswith("put") else f"{site.row.kfunc} put_instead"
    if rng.random() < 0.5:
        return site.instead(site.own, f"#define {word}\n"), 0
    header = rng.choice(("/* BTF_KFUNCS */\n", "")) if "BTF_ID" in word else "/* BTF_KFUNCS */\n"
    return {**site.instead(site.own, '#include "mine.h"\n'), f"{site.folder}/mine.h": f"{header}#define {word}\n"}, 0


@mutator
def argument_that_is_dropped(site: Site, rng: random.Random) -> Made:
    return site.instead(
        f"BTF_ID_FLAGS(func, {site.row.kfunc}, KF_SLEEPABLE, {rng.choice(('KF_RELEASE', 'KF_RCU', '1'))})"
    ), 0


@mutator
def module_below_tools(site: Site, rng: random.Random) -> Made:
    text = site.text.replace(site.row.set, "tools_ids") if rng.random() < 0.5 else site.text
    path = rng.choice(("tools/mut/mut.c", "tools/bpf/mod/main.c", "tools/testing/mod.c", "tools/x.h"))
    head = rng.choice(("#include <linux/module.h>\n", "#include <linux/kernel.h>\n", ""))
    kfunc = f"__bpf_kfunc void {site.row.kfunc}(struct task_struct *p)\n{{\n}}\n"
    start = site.set if text is site.text else site.set.replace(site.row.set, "tools_ids")
    return {path: f"{head}{kfunc}{start}\n"}, site.rows


@mutator
def odd_white_space(site: Site, rng: random.Random) -> Made:
    name, flags = site.row.kfunc, site.flags
    ways = (
        f"BTF_ID_FLAGS\n(\nfunc\n,\n{name}\n,\n{flags}\n)\n",
        f"BTF_ID_FLAGS(func /* , */, {name} // )\n, {flags});;",
        f"BTF_ID_FLAGS(func, {name}, \\\n {flags})",
        f"BTF_ID_\\\nFLAGS(func, {name}, {flags})",
        f"BTF_ID_FLAGS(func, {name[:2]}\\\n{name[2:]}, {flags})",
        f"\f\vBTF_ID_FLAGS(func,{name},{flags.replace('KF_', 'K' + chr(92) + chr(10) + 'F_')})",
        f"/* BTF_KFUNCS_END({site.row.set}) */ BTF_ID_FLAGS(func, {name}, {flags}) // \\\n BTF_ID_FLAGS(func, no)\n",
    )
    return site.instead(rng.choice(ways)), 0


@mutator
def other_line_ends(site: Site, rng: random.Random) -> Made:
    return {site.row.file: site.text.replace("\n", "\r\n")}, 0


@mutator
def conditions_around_rows(site: Site, rng: random.Random) -> Made:
    other = "BTF_ID_FLAGS(func, no_other_has_this_name, KF_RCU)"
    ways = (
        (f"\n#if 0\n{site.own}\n#endif\n", 0),
        (f"\n#ifdef A\n#if B\n{site.own}\n#elif C\n{other}\n#else\n{site.own}\n#endif\n#endif\n", 2),
        (f"\n#if A && \\\n\tB /* and\n */ && C\n{site.own}\n#endif\n", 0),
        (f"\n# /* x */ if A\n{site.own}\n# endif\n", 0),
        (f"\nBTF_ID_FLAGS(func, {site.row.kfunc}\n#ifdef A\n, {site.flags}\n#endif\n)\n", 0),
        (f"\n%:ifdef A\n{site.own}\n%:endif\n", 0),
    )
    new, more = rng.choice(ways)
    return site.instead(new), more


@mutator
def conditions_around_the_set(site: Site, rng: random.Random) -> Made:
    name = site.row.set
    end = f"BTF_KFUNCS_END({name})"
    ways = (
        (f"#ifdef A\n{site.set}\n#else\n{site.set}\n#endif\n", site.rows),
        (f"#ifdef A\nBTF_SET8_START({name})\nBTF_SET8_END({name})\n#else\n{site.set}\n#endif\n", 0),
        (f"#ifdef A\n{site.set}\n#else\nBTF_SET8_START({name})\nBTF_SET8_END({name})\n#endif\n", 0),
        (
            site.set.replace(
                end, f"#ifdef A\n{end}\n#else\nBTF_ID_FLAGS(func, no_other_has_this_name, KF_RCU)\n{end}\n#endif"
            ),
            1,
        ),
        (site.set.replace(f"BTF_KFUNCS_START({name})", f"#ifdef A\nBTF_KFUNCS_START({name})\n#endif"), 0),
    )
    new, more = rng.choice(ways)
    return site.whole(new), more


@mutator
def set_in_a_header(site: Site, rng: random.Random) -> Made:
    name = rng.choice(("include/linux/my_kfuncs.h", "include/net/my_kfuncs.h"))
    line = f"#include <{name.removeprefix('include/')}>\n"
    guard = f"#ifndef G_H\n#define G_H\n{site.set}\n#endif\n"
    return {**site.whole(line * rng.choice((1, 2))), name: guard}, 0


@mutator
def set_a_second_time(site: Site, rng: random.Random) -> Made:
    where = rng.choice((f"{site.folder}/again.c", "net/again.inc", "drivers/x/again.h"))
    return {where: site.set + "\n"}, site.rows


@mutator
def list_macro(site: Site, rng: random.Random) -> Made:
    lists = f"#define LIST_xxx \\\n\tROW({site.row.kfunc}) \\\n"
    lists += "\tROW(no_other_has_this_name) /* and\n one more */ ROW(nor_this_one)\n"
    lists = rng.choice(
        (
            lists,
            f"#ifdef A\n#define LIST_xxx ROW({site.row.kfunc})\n#else\n{lists}#endif\n",
            f"/* #define LIST_xxx */\n{lists}",
        )
    )
    use = f"\n#define ROW(x) BTF_ID_FLAGS(func, x, {site.flags})\nLIST_xxx\n#undef ROW\n"
    if rng.random() < 0.5:
        return site.instead(use, lists), 2
    return {**site.instead(use, "#include <net/lists.h>\n"), "include/net/lists.h": lists}, 2


@mutator
def kfunc_in_old_style(site: Site, rng: random.Random) -> Made:
    old = "__bpf_kfunc void my_old(p)\n\tstruct task_struct *p;\n{\n}\n"
    return site.instead(site.own + f"\nBTF_ID_FLAGS(func, my_old, {rng.choice(('KF_RCU', 'KF_RELEASE', '0'))})", old), 1


@mutator
def registered_but_made_by_hand(site: Site, rng: random.Random) -> Made:
    asm = f'asm(".pushsection .BTF_ids; .long 0; .popsection");\nextern struct btf_id_set8 {site.row.set};\n'
    return site.whole(rng.choice((asm, f"KFUNC_SET({site.row.set}, {site.row.kfunc})\n", ""))), -site.rows


@mutator
def another_kind_of_set(site: Site, rng: random.Random) -> Made:
    return site.whole(site.set.replace("BTF_KFUNCS_", rng.choice(("BTF_SET8_", "BTF_SET_")))), 0


@mutator
def words_that_are_none(site: Site, rng: random.Random) -> Made:
    ways = (
        f"/* BTF_KFUNCS_START({site.row.set}) */\n",
        'const char *s = "BTF_ID_FLAGS(func, x, KF_RCU) \\" /*";\n',
        "#define UNUSED(x) BTF_ID_FLAGS(func, x, KF_RCU)\n",
        "// \\\nBTF_KFUNCS_START(no)\n",
        "char q = '\"'; /* ' */\n",
    )
    return site.instead(site.own, rng.choice(ways)), 0


def sites(tree: Tree) -> list[Site]:
    """Return every plain row of a set of kfuncs of the kernel that has begun and ended as usual."""
    found = []
    for path in candidates(tree):
        if path.startswith("tools/") or not path.endswith(".c"):
            continue
        text = tree.read(path).decode("latin-1")
        for row in read_sets(tree, path).rows:
            start, end = f"BTF_KFUNCS_START({row.set})", f"BTF_KFUNCS_END({row.set})"
            if row.via is None and text.count(start) == text.count(end) == 1 and row.macro == "BTF_ID_FLAGS":
                found.append(Site(tree, row, text, text.index(start), text.index(end) + len(end)))
    return found


def verdict(site: Site, made: Made, base: int) -> tuple[str, str]:
    """Return what became of a mutant, in a word, and why; the words in capitals are faults."""
    files, more = made
    tree = site.tree.overlaid({path: text.encode("latin-1") for path, text in files.items()})
    config = load(None, bundled("patchbot.toml")).campaign(None)
    try:
        found = audit(tree, config)
    except UserError as error:
        lines = str(error).splitlines()
        about = any(any(f"{path}:" in line for path in files) for line in lines)
        return ("refused" if about else "REFUSED ELSEWHERE"), lines[0]
    if found.refused:
        about = any(any(f"{path}:" in line for path in files) for line in found.refused)
        return ("refused row" if about else "REFUSED ELSEWHERE"), found.refused[0]
    entries = found.document()["entries"]
    kept = [kfunc for kfunc, decision in config.decisions.items() if decision.get("keep")]
    count, differences = compared(tree, kept=kept)
    if differences:
        return "DIFFERENT", "; ".join(f"{file}:{line}: {message}" for message, file, line in differences[:4])
    if count != len(entries) or count != base + more:
        return "LOST", f"{len(entries)} rows, the preprocessor {count}, but the mutant has {base + more}"
    return "the same", ""


def main() -> int:
    """Make the mutants, judge them and print a table by kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kernel", required=True, type=Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--only", default="", help="only kinds whose name holds this")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    repo = Repo.open(args.kernel)
    table: dict[str, Counter[str]] = {}
    faults = 0
    print(f"seed {args.seed}")
    with tempfile.TemporaryDirectory() as name:
        cache = GrepCache(Path(name) / "grep.sqlite")
        trees = [Tree(repo, repo.resolve(rev), {}, cache) for rev in sorted(repo.refs("refs/tags/"))]
        there: Mapping[str, list[Site]] = {tree.commit: sites(tree) for tree in trees}
        bases = {tree.commit: sum(len(read_sets(tree, p).rows) for p in candidates(tree)) for tree in trees}
        kinds = [kind for kind in MUTATORS if args.only in kind]
        for number in range(args.count):
            rng = random.Random(f"{args.seed}/{number}")
            kind = kinds[number % len(kinds)]
            tree = rng.choice(trees)
            made = None
            while made is None:
                site = rng.choice(there[tree.commit])
                made = MUTATORS[kind](site, rng)
            started = time.monotonic()
            word, why = verdict(site, made, bases[tree.commit])
            table.setdefault(kind, Counter())[word] += 1
            faults += word.isupper()
            if args.verbose or word.isupper():
                took = time.monotonic() - started
                where = f"{site.row.file} {site.row.kfunc}"
                print(f"{number:4} {kind}: {where}: {word} {why} ({took:.1f} s)", flush=True)
    print(f"\n{'kind':44} the same  refused  row  silent")
    for kind, words in table.items():
        silent = sum(n for word, n in words.items() if word.isupper())
        print(f"{kind:44} {words['the same']:8} {words['refused']:8} {words['refused row']:4} {silent:7}")
    total: Counter[str] = sum(table.values(), Counter())
    refused = total["refused"] + total["refused row"]
    print(f"{args.count} mutants: {total['the same']} seen by both, {refused} refused, {faults} silent")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
