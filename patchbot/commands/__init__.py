"""The commands, one module each; cli.py lists them, nothing registers itself.

A command module has `arguments(parser)` and `execute(session) -> int`.
"""
