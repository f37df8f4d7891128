"""Sources to Workloads and Programs: one module a kind of source."""
