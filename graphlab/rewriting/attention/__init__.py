"""Attention by meaning: what is told of a spelled-out attention, and how the fused call is written."""
