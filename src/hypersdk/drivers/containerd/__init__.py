"""containerd, through its own gRPC API. No daemon of Docker or Kubernetes is needed."""
