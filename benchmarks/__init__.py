"""Scripts behind every number in docs/; run one with `python -m benchmarks.<name>`."""
