"""Records of the model as they go over the wire, and back."""
