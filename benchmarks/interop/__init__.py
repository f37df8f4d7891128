"""Programs of other projects on what graphlab writes, each in an environment of its own."""
