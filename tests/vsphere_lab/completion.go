package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// completion fills in, on every machine that comes into being, what the simulator leaves empty and
// clients with strict types cannot read.
type completion struct {
	mo.VirtualMachine // the registry calls listeners by their references
}

func newCompletion() *completion {
	c := &completion{}
	c.Self = types.ManagedObjectReference{Type: "Completion", Value: "completion"}
	return c
}

// PutObject is called for each object that is registered.
func (c *completion) PutObject(_ *simulator.Context, object mo.Reference) {
	vm, is := object.(*simulator.VirtualMachine)
	if !is || vm.Runtime.FaultToleranceState != "" {
		return
	}
	for _, runtime := range []*types.VirtualMachineRuntimeInfo{&vm.Runtime, &vm.Summary.Runtime} {
		runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
		runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
	}
}

// UpdateObject has nothing to do.
func (c *completion) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}

// RemoveObject has nothing to do.
func (c *completion) RemoveObject(*simulator.Context, types.ManagedObjectReference) {}
