"""From kernels and a device to seconds: estimates, each with what bounds it."""
