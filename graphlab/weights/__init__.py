"""Values for the weights of a program: drawn from a seed, read from files, or the source's own; one at a time."""
