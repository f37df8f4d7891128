"""Calls of models measured on a GPU that is at hand, beside what the time model says of them."""
