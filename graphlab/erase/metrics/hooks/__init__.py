"""Metrics of published protocols that need models which do not come with graphlab; none was run here on real ones."""
