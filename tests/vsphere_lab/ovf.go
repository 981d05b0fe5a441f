package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// ovfManager is the simulator's, which also describes machines.
type ovfManager struct {
	*simulator.OvfManager
	lab *Lab
}

// CreateDescriptor describes a machine, with the files that its client exported.
func (o *ovfManager) CreateDescriptor(_ *simulator.Context, req *types.CreateDescriptor) soap.HasFault {
	vm, known := o.lab.registry().Get(req.Obj).(*simulator.VirtualMachine)
	if !known {
		return &methods.CreateDescriptorBody{
			Fault_: simulator.Fault("no machine", &types.ManagedObjectNotFound{Obj: req.Obj}),
		}
	}
	m := &machine{vm, o.lab}
	return &methods.CreateDescriptorBody{Res: &types.CreateDescriptorResponse{
		Returnval: types.OvfCreateDescriptorResult{
			OvfDescriptor: m.descriptor(req.Cdp), IncludeImageFiles: req.Cdp.IncludeImageFiles,
		},
	}}
}
