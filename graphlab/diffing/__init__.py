"""What differs between two sources, programs, reports or timings; `graphlab.diff` is in graphlab.comparing."""
