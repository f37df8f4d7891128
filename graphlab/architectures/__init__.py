"""Modules of published systems that no library has a class for; every file names the paper it follows."""
