"""Built-in passes. Installed as `graphlab.passes`; found through the plug-in mechanism, like anyone's."""

if __name__ != "graphlab.passes":
    raise ImportError("import graphlab.passes, not passes: this folder is installed as graphlab.passes")
