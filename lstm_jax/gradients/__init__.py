"""The gradient laboratory: how much of the last error reaches each earlier step."""
