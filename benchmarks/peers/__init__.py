"""The libraries timed against ours."""
