"""The options of hyperexport, by subject: what can be typed, and the records made of it."""
