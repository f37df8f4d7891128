"""Concept erasure: ANT's trajectory-aware objective, weight saliency masks, and what they are compared with."""
