"""A series as it lies in a person's repository, what people put on it, and how it moves to a new base."""
