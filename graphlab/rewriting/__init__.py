"""Rewrites: programs in, equivalent cheaper programs out, with every change and every refusal explained."""
