"""Several edits of one text-to-image model as one: closed-form changes of its cross-attention projections."""
