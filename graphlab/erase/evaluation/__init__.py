"""Evaluation: the same prompts and seeds drawn before and after a concept was erased, judged and compared."""
