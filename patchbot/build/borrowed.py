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
    rules = [row for row in bench.steering(tree).items() if not row[0].rpartition("/")[2].startswith("Kconfig")]
    key = digest(["borrowed", bench.config(tree, log).digest, sorted(rules)])
    if (bench.kbuild.out, key) not in _made:
        known = bench.known.get(key, dict[str, str])
        if known is None:
            wanted = [f":(glob)**/{name}" for name in ("Makefile*", "Kbuild*", "*.mk")]
            paths = {path for path, _ in bench.scratch.grep_lines(tree, _FORM, wanted)}
            folders = {path.rpartition("/")[0] or "." for path in paths if not path.startswith(_NOT_KERNEL)}
            bench.enter(tree, log)
            known = _ask(bench, tree, folders, log)
            bench.known.put(key, known)
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
