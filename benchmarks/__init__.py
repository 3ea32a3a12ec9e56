"""The benchmark: this library and its peers side by side, doing the same work."""
