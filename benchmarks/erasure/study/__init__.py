"""The erasure study: runs as data, one row a checkpoint, tables and claims from the rows."""
