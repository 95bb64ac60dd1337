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
            for number in readers(source):
                name = f"who asks for {source.lexed.texts[number].decode()}"
                found.append(drifted(source, number, name, "asks for it past the predicates"))
            for number in fillers(source) if path != VERIFIER_C else ():
                what = f"sets kfunc_flags; only {VERIFIER_C} was expected to"
                found.append(drifted(source, number, "who fills the meta of a kfunc", what))
    return found


def readers(source: Source) -> list[int]:
    """Return the numbers of the tokens that are one of the flags in the body of a function that is not known."""
    lexed = source.lexed
    rows = [(n, lexed.brackets.partner.get(n + 1, n)) for n in lexed.index.get(ROW, ())]
    known = [f.span for f in functions(source) if f.name in KNOWN]
    return [
        n
        for n in sorted(n for flag in FLAGS for n in lexed.index.get(flag, ()))
        if lexed.directive_at(n) is None
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


def drifted(source: Source, number: int, name: str, what: str) -> Report:
    """Return the report that the function that a token is in does something."""
    span = Span(*source.lexed.spans[number])
    place = next((f"{f.name}()" for f in functions(source) if span in f.span), "what stands at file scope")
    return Report(name, source.path, source.line(span.start), Outcome.DRIFTED, "", f"{place} {what}", False)
