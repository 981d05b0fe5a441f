"""What the daemon looks after: hypervisors, repositories and webhooks, by their names."""
