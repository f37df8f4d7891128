"""`graphlab erase`: concepts erased from text-to-image models. One file a command."""
