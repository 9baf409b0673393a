"""Documents of normalized rows, the input of the merge."""
