"""Files that other people's viewers open: Model Explorer, Perfetto, Graphviz, and everything that reads GraphML."""
