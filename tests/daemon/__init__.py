"""The daemon with everything around it: its commands as processes, hypervisors, databases."""
