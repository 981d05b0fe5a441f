"""Work with many hypervisors as one: find, run, place, watch."""
