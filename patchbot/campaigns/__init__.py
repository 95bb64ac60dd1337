"""The campaigns, one package each; a name in patchbot.toml is the name of a folder here."""
