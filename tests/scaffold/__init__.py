"""What `graphlab new-pass` writes."""
