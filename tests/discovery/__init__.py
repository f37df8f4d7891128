"""Finding plug-ins, and running the code of others."""
