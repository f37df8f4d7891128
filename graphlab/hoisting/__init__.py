"""What a denoising loop computes again and again, moved out of it: a prologue, a table over the schedule, and the step.

`hoist` splits a program, `hoist_stage` a stage of a workload, `workload_with` puts the parts in its place.
"""
