"""Honest timings: interleaved rounds in child processes, paired ratios, intervals."""
