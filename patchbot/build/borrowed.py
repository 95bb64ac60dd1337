"""Find the objects that the Makefile of one folder lists of another one, as arch/x86/kvm does of virt/kvm.

The folder of such an object does not say that it is built, and its flags are those of the Makefile that lists it. So
make has to be asked by the name that stands there: arch/x86/kvm/../../../virt/kvm/kvm_main.o.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from .bench import Bench
from .kbuild import is_folder
from .units import digest

#: What a Makefile holds that may list objects of other folders.
_FORM = r"\.\./|^[[:space:]]*-?include[[:space:]]"
_NOT_KERNEL = ("tools/", "scripts/", "Documentation/", "samples/")
_made: dict[tuple[Path, str], dict[str, str]] = {}


def borrowed(bench: Bench, tree: str, log: Path) -> dict[str, str]:
    """Return {object: its name for make} of the objects that a configuration builds from another folder's Makefile."""
    rules = {p: oid for p, oid in bench.steering(tree).items() if not p.rpartition("/")[2].startswith("Kconfig")}
    key = digest([bench.config(tree, log).digest, sorted(rules.items())])
    if (bench.kbuild.out, key) not in _made:
        wanted = [f":(glob)**/{name}" for name in ("Makefile*", "Kbuild*", "*.mk")]
        found = {path for path, _ in bench.scratch.grep_lines(tree, _FORM, wanted) if not path.startswith(_NOT_KERNEL)}
        read = sorted((path, rules[path]) for path in found & rules.keys())
        name = "borrowed " + digest([bench.config(tree, log).digest, read])
        known = bench.known.get(name, dict[str, str])
        if known is None:
            bench.enter(tree, log)
            known = _ask(bench, tree, {path.rpartition("/")[0] or "." for path in found}, log)
            bench.known.put(name, known)
        _made[bench.kbuild.out, key] = known
    return _made[bench.kbuild.out, key]


def _ask(bench: Bench, tree: str, folders: set[str], log: Path) -> dict[str, str]:
    """Ask make what those of some folders that the configuration builds list of others."""
    ask = partial(bench.listed, tree, log)
    here = sorted(folder for folder in folders if is_folder(folder, ask))
    with ThreadPoolExecutor(max(1, bench.kbuild.jobs)) as pool:
        rows = list(pool.map(ask, here))
    names = (name for objects, _ in rows for name in sorted(objects) if "/../" in name and name.endswith(".o"))
    return {os.path.normpath(name): name for name in names}
