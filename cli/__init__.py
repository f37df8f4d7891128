"""The command line. Installed as `graphlab.cli`."""

if __name__ != "graphlab.cli":
    raise ImportError("import graphlab.cli, not cli: this folder is installed as graphlab.cli")
