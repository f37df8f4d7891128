"""The figures of the characterization: each a module with one function from a Characterization to a Figure."""
