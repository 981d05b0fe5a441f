package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machineFolder refuses what vCenter refuses and the simulator does not: two machines of one name.
type machineFolder struct {
	*simulator.Folder
	lab *Lab
}

// CreateVMTask makes a machine. The task holds the folder's lock, so of many who create one name at
// once one wins.
func (f *machineFolder) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{
		Returnval: work(ctx, f.Folder, "createVMTask", func() (types.AnyType, types.BaseMethodFault) {
			if taken := ctx.Map.FindByName(req.Config.Name, f.ChildEntity); taken != nil {
				return nil, &types.DuplicateName{Name: req.Config.Name, Object: taken.Reference()}
			}
			f.lab.measure(&req.Config)
			result, fault := finished(ctx, f.Folder.CreateVMTask(ctx, req))
			if fault != nil {
				return nil, fault
			}
			reference := result.(types.ManagedObjectReference)
			made := &machine{ctx.Map.Get(reference).(*simulator.VirtualMachine), f.lab}
			made.contents() // from now on the files are known, whoever attaches them
			return reference, nil
		}),
	}}
}
