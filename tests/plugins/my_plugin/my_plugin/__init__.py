"""A plug-in for graphlab: each module is one of the things it adds."""
