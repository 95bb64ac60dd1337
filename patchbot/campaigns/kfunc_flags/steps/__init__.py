"""Hold the steps of the series, each a codemod."""
