"""The daemon's HTTP interface. Routes translate between HTTP and flows, jobs and records; they
decide nothing."""
