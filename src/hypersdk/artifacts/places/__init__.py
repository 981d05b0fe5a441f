"""Where exports are brought to: folders, object storage, machines with SSH."""
