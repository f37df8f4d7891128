"""Whether a rewritten program computes what the program before it computed, and which pass and node it was if not."""
