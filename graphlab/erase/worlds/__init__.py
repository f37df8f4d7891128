"""Small worlds with everything known about them, and the text-conditional diffusion models trained on them."""
