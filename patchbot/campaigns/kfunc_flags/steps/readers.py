"""Find those who ask for KF_RELEASE, KF_RCU or the flags of a kfunc behind the back of the step verifier.

The step teaches the predicates of kernel/bpf/verifier.c. Whoever reads the flags past them, in that file or in one
that was split off it, would not see the flag of an argument: a hole in the verifier.
"""

from __future__ import annotations

from ....c import Source, Span, find, functions, parse
from ....series.campaign import Context
from ....series.codemod import Outcome, Report
from .facts import VERIFIER_C

FLAGS = ("KF_RELEASE", "KF_RCU")
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


def unseen_readers(context: Context) -> list[Report]:
    """Return a report for each place in the BPF core that reads those flags, or fills the meta of a kfunc, unseen."""
    found = []
    for path in context.base.grep([*FLAGS, "kfunc_flags"], FOLDERS, word=True):
        if path.endswith((".c", ".h")):
            source = parse(path, context.base.read(path))
            for span in readers(source):
                name = f"who asks for {source.at(span).decode()}"
                found.append(drifted(source, span, name, "asks for it past the predicates"))
            for span in fillers(source) if path != VERIFIER_C else ():
                what = f"sets kfunc_flags; only {VERIFIER_C} was expected to"
                found.append(drifted(source, span, "who fills the meta of a kfunc", what))
    return found


def readers(source: Source) -> list[Span]:
    """Return where one of the flags is in the body of a function that is not known."""
    lexed = source.lexed
    seen = [d.span for d in lexed.directives] + [f.span for f in functions(source) if f.name in KNOWN]
    seen += [lexed.span(n, lexed.brackets.partner.get(n + 1, n) + 1) for n in lexed.index.get(ROW, ())]
    found = sorted(span for flag in FLAGS for span in find(source, flag))
    return [span for span in found if not any(span in other for other in seen)]


def fillers(source: Source) -> list[Span]:
    """Return where a member kfunc_flags is set."""
    return sorted(find(source, ".kfunc_flags =") + find(source, "->kfunc_flags ="))


def drifted(source: Source, span: Span, name: str, what: str) -> Report:
    """Return the report that the function that a place is in does something."""
    place = next((f"{f.name}()" for f in functions(source) if span in f.span), "what stands at file scope")
    return Report(name, source.path, source.line(span.start), Outcome.DRIFTED, "", f"{place} {what}", False)
