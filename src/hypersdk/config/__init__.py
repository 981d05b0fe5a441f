"""Files and environment, read once into frozen settings; references to secrets."""
