"""Studies of concept erasure on models that graphlab trained itself; run from the root of the repository."""
