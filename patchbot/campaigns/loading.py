"""Load a Python file of a campaign's folder as a module that can import its neighbours."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from ..errors import ConfigError, PatchbotError, line_in
from ..terminal import aside


def load_module(folder: Path, file: Path) -> ModuleType:
    """Return the module in a file of a campaign's folder; raise ConfigError with the line where that fails."""
    package = "patchbot_campaign_" + re.sub(r"\W", "_", str(folder.resolve()))
    name = package if file.stem == "campaign" else f"{package}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if name != package:  # what it imports from beside itself lies in the package
        sys.modules.setdefault(package, ModuleType(package)).__path__ = [str(folder)]
    sys.modules[name] = module
    # Byte code beside the sources could be older than they are by less than a second.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with aside():
            spec.loader.exec_module(module)
    except PatchbotError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{line_in(error, folder) or file}: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = before
    return module


def function_in(folder: Path, file: Path, name: str, takes: str) -> Callable[..., object]:
    """Return a function of a file of a campaign's folder, which `takes` that; raise ConfigError where there is none."""
    made = getattr(load_module(folder, file), name, None)
    if not callable(made):
        raise ConfigError(f"{file} must define {name}({takes})")
    found: Callable[..., object] = made
    return found
