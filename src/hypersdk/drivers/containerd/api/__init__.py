"""Messages of containerd's API, made by scripts/protos from its .proto files; see NOTICE."""
