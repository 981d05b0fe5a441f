"""What is made of an instance besides its OVF: digests, packing, encryption, places for files."""
