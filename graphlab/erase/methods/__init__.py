"""Methods of erasing on one footing: named, as data, with one budget and one way to run them."""
