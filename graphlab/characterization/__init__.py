"""Many models on one device: what `graphlab characterize` is made of."""
