"""The criteria of the rows, one file per experiment that is one."""
