"""What can be named on the command line: passes, models, devices and backends, whoever they come from."""
