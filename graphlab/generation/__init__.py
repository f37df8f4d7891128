"""A whole generation, step by step: what every stage asks of a device at every step, and how long that takes."""
