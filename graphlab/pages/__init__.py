"""Reports of commands as pages: one function a command, from its data to a `Document`."""
