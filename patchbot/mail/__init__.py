"""The mails that a series becomes, and those that people answer with."""
