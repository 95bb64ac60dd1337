"""What a check is, how checks run, what is kept of what they say, and how it is shown."""
