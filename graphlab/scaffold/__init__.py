"""New passes: a file that works, and its test, for an author to start from."""
