"""What a concept can be erased from: a base of a small world, or the folder of a diffusers pipeline."""
