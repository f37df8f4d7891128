"""Built-in analyses: one a file, file name = pass name."""
