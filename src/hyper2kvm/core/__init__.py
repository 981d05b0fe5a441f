"""What all parts of the package share."""
