"""Find code that reads KF_RELEASE, KF_RCU or the flags of a kfunc without the predicates of the step verifier.

The step changes the predicates in kernel/bpf/verifier.c. Code that reads the flags directly, in that file or in one
that was split off it, would not see the flag of an argument: a hole in the verifier.
"""

from __future__ import annotations

from ....c import Source, Span, find, functions, parse
from ....series.campaign import Context
from ....series.codemod import Outcome, Report
from .facts import VERIFIER_C

FLAGS = ("KF_RELEASE", "KF_RCU")
FOLDERS = ("kernel/bpf", "include/linux")
#: Functions that know argument flags as well: those that the series adds, and the predicates that it changes.
KNOWN = frozenset(
    {
        "is_kfunc_release",
        "is_kfunc_rcu",
        "is_kfunc_arg_rcu",
        "is_kfunc_arg_release",
        "kfunc_release_regno",
        "btf_check_kfunc_arg",
        "check_kfunc_args",
    }
)
ROWS = (b"BTF_KFUNC", b"BTF_ID_FLAGS", b"BPF_KFUNC")


def unseen_readers(context: Context) -> list[Report]:
    """Return a report for each unexpected place in the BPF core that reads those flags or fills the meta of a kfunc."""
    found = []
    for path in context.base.grep([*FLAGS, "kfunc_flags"], FOLDERS, word=True):
        if path.endswith((".c", ".h")):
            source = parse(path, context.base.read(path))
            for span in readers(source):
                name = f"the readers of {source.at(span).decode()}"
                found.append(drifted(source, span, name, "reads it without the predicates"))
            for span in fillers(source) if path != VERIFIER_C else ():
                what = f"sets kfunc_flags; only {VERIFIER_C} was expected to"
                found.append(drifted(source, span, "the code that fills the meta of a kfunc", what))
    return found


def readers(source: Source) -> list[Span]:
    """Return where one of the flags occurs in the body of an unknown function."""
    lexed = source.lexed
    seen = [d.span for d in lexed.directives] + [f.span for f in functions(source) if f.name in KNOWN]
    seen += [lexed.span(n, lexed.brackets.partner.get(n + 1, n) + 1) for row in ROWS for n in lexed.index.get(row, ())]
    found = sorted(span for flag in FLAGS for span in find(source, flag))
    return [span for span in found if not any(span in other for other in seen)]


def fillers(source: Source) -> list[Span]:
    """Return where a member kfunc_flags is set."""
    return sorted(find(source, ".kfunc_flags =") + find(source, "->kfunc_flags ="))


def drifted(source: Source, span: Span, name: str, what: str) -> Report:
    """Return the report that the function around a place does something."""
    place = next((f"{f.name}()" for f in functions(source) if span in f.span), "code at file scope")
    return Report(name, source.path, source.line(span.start), Outcome.DRIFTED, "", f"{place} {what}", False)
