"""Built-in rewrites: one a file, file name = pass name."""
