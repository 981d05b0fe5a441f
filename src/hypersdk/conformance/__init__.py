"""The conformance kit: proves that a driver does what the ports promise."""
