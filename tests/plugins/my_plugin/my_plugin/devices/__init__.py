"""Devices: every .toml file of this package is one, called like the file."""
