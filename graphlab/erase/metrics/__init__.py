"""What erasure did: how much of the concept is left, what else was lost, and how sure that is."""
