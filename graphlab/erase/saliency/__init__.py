"""Weight saliency: which weights the erase term moves most, prompt by prompt and seed by seed, as a mask."""
