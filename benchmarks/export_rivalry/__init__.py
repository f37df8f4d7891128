"""What the export benchmarks share: the models, every rival's way of making a file, children with a memory limit."""
