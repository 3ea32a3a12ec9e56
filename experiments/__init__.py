"""Questions asked of the library: one file each, one command each."""
