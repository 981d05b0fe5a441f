"""Places where a repository lives, behind one port."""
