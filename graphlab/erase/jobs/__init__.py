"""What the commands of `graphlab erase` do, as functions: mask, train, fuse, evaluate, demonstrate."""
