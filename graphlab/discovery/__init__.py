"""Finds plug-ins of every kind: in installed distributions through entry points, and in a user's own file."""
