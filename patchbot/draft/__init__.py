"""Keep a series in a person's repository, with what people put on it, and move it to a new base."""
