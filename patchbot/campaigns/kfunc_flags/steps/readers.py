"""Find those who ask for KF_RELEASE, KF_RCU or the flags of a kfunc behind the back of the step verifier.

The step teaches the predicates of kernel/bpf/verifier.c. Whoever reads the flags past them, in that file or in one
that was split off it, would not see the flag of an argument: a hole in the verifier.
"""

from __future__ import annotations

from ....c import Source, Span, functions, parse
from ....series.campaign import Context
from ....series.codemod import Outcome, Report
from .facts import VERIFIER_C

FLAGS = (b"KF_RELEASE", b"KF_RCU")
FOLDERS = ("kernel/bpf", "include/linux")
#: Functions that know the flags of arguments as well: what the series adds, and the predicates that it teaches.
KNOWN = frozenset(
    {
        "is_kfunc_release",
        "is_kfunc_rcu",
        "is_kfunc_arg_rcu",
        "is_kfunc_arg_release",
        "kfunc_release_regno",
        "btf_check_kfunc_arg_flags",
        "check_kfunc_args",
    }
)
ROW = b"BTF_ID_FLAGS"


def unknown(context: Context) -> list[Report]:
    """Return a report for each place in the BPF core that reads those flags, or fills the meta of a kfunc, unseen."""
    found = []
    for path in context.base.grep(["KF_RELEASE", "KF_RCU", "kfunc_flags"], FOLDERS, word=True):
        if path.endswith((".c", ".h")):
            source = parse(path, context.base.read(path))
            found += [reader(source, number) for number in readers(source)]
            if path != VERIFIER_C:
                found += [filler(source, number) for number in fillers(source)]
    return found


def readers(source: Source) -> list[int]:
    """Return the numbers of the tokens that are one of the flags in the body of a function that is not known."""
    lexed = source.lexed
    skipped = [(d.first, d.last) for d in lexed.directives]
    rows = [(n, lexed.brackets.partner.get(n + 1, n)) for n in lexed.index.get(ROW, ())]
    numbers = sorted(n for flag in FLAGS for n in lexed.index.get(flag, ()))
    known = [f.span for f in functions(source) if f.name in KNOWN]
    return [
        n
        for n in numbers
        if not any(first <= n < last for first, last in skipped)
        and not any(first <= n <= last for first, last in rows)
        and not any(Span(*lexed.spans[n]) in span for span in known)
    ]


def fillers(source: Source) -> list[int]:
    """Return the numbers of the tokens at which a member kfunc_flags is set."""
    texts = source.lexed.texts
    return [
        n
        for n in source.lexed.index.get(b"kfunc_flags", ())
        if 0 < n < len(texts) - 1 and texts[n - 1] in (b".", b"->") and texts[n + 1] == b"="
    ]


def reader(source: Source, number: int) -> Report:
    """Return the report of a use of a flag."""
    flag = source.lexed.texts[number].decode()
    return drifted(source, number, f"who asks for {flag}", f"{place(source, number)} asks for it past the predicates")


def filler(source: Source, number: int) -> Report:
    """Return the report of an assignment."""
    what = f"{place(source, number)} sets kfunc_flags; only {VERIFIER_C} was expected to"
    return drifted(source, number, "who fills the meta of a kfunc", what)


def drifted(source: Source, number: int, name: str, message: str) -> Report:
    """Return a report on a token."""
    line = source.line(source.lexed.starts[number])
    return Report(name, source.path, line, Outcome.DRIFTED, "", message, False)


def place(source: Source, number: int) -> str:
    """Return the function that a token is in."""
    span = Span(*source.lexed.spans[number])
    return next((f"{f.name}()" for f in functions(source) if span in f.span), "what stands at file scope")
