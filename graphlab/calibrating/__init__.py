"""Measures this machine: probes of single operators, run in turn, to the tables of a device file."""
