"""Masked training: an objective minimised over chosen weights, exactly resumable, others left to the last bit."""
