"""Plug-ins as others write them: distributions that are installed, and files."""
