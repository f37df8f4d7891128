"""Backends: a program, or a hoisted stage, as a callable of some runtime."""
