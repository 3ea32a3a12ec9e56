"""What is timed: one family of comparisons a file."""
