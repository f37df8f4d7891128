"""What `graphlab calibrate` found out about a machine: tables of seconds by size, and how they are read between."""
