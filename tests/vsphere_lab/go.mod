module hypersdk/vspherelab

go 1.25.0

require (
	github.com/google/uuid v1.6.0
	github.com/klauspost/compress v1.20.3
)

require (
	github.com/dougm/pretty v0.0.0-20160325215624-add1dbc86daf // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	golang.org/x/text v0.41.0 // indirect
)

require (
	github.com/vmware/govmomi v0.56.0
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
