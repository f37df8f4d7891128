"""Runs captured stages on this machine and times them node by node."""
