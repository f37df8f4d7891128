"""The checks that authors of passes call, on passes that are right and on passes that are wrong in every way."""
