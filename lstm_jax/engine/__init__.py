"""How `scan` finds the weights of a step and orders its backward pass."""
