"""Records of the routes without a version, as their clients have known them."""
