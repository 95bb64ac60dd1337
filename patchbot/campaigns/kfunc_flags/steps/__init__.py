"""The steps of the series, each a codemod."""
