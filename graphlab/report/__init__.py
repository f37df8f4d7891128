"""Reports as data, and their writers."""
