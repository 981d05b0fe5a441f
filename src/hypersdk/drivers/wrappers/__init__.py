"""What guards the calls to a hypervisor; each is an interceptor, `guarded` puts them together."""
