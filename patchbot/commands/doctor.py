"""Say what this machine lacks for which check, and the package that has it."""

from __future__ import annotations

import argparse

from rich.table import Column, Table

from .. import doctor
from ..checking.check import available, load
from ..errors import UserError
from ..sandbox import Sandbox
from ..session import Session
from ..terminal import cell


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments: none."""


def execute(session: Session) -> int:
    """Run the command."""
    config = session.config.checks
    tools = doctor.examine([load(name, config.path) for name in available(config.path)], config.run)
    sandbox = Sandbox(session.config.sandbox)
    try:
        why = sandbox.lacking()
    except UserError as error:
        why = str(error)
    if session.emit({**doctor.document(tools), "sandbox": {"mode": sandbox.mode, "lacking": why or None}}):
        return 0
    # A name that is cut cannot be installed.
    program, package = (Column(head, no_wrap=True) for head in ("tool", "Debian package"))
    table = Table(program, "version", "used by", package, box=None, pad_edge=False)
    for tool in tools:
        lacks = cell("missing", "bold red") if tool.required else cell("missing, optional", "yellow")
        found = cell(tool.version or "found") if tool.found else lacks
        table.add_row(cell(tool.name), found, cell(", ".join(tool.used_by)), cell(tool.package))
    session.out.print(table)
    session.show(f"\nthe tree's own scripts run {f'without a sandbox: {why}' if why else 'in a sandbox'}")
    command = doctor.install_command(tools)
    session.show(f"\ninstall what is missing: {command}" if command else "\nnothing is missing")
    return 0
