"""What a graph asks of a device: its calls as kernels, with everything a time model needs and no more."""
