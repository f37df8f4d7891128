"""Device files: one TOML a device, base units, a source URL for every number."""
