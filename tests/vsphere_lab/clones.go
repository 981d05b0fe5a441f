package main

import (
	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// CloneVMTask copies a machine with the content of its disks: of now, or of a snapshot. No bytes
// are copied: original and clone go on over the same frozen blocks.
func (m *machine) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	powerOn := req.Spec.PowerOn
	quiet := *req
	quiet.Spec.PowerOn = false // first the content, then the power
	begin := func() soap.HasFault { return m.VirtualMachine.CloneVMTask(ctx, &quiet) }
	return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "cloneVMTask", func() (types.AnyType, types.BaseMethodFault) {
			result, fault := finished(ctx, begin())
			if fault != nil {
				return nil, fault
			}
			reference := result.(types.ManagedObjectReference)
			clone := &machine{ctx.Map.Get(reference).(*simulator.VirtualMachine), m.lab}
			ctx.WithLock(clone.VirtualMachine, func() { fault = m.copyTo(ctx, clone, req.Spec) })
			if fault != nil {
				return nil, fault
			}
			if powerOn && !req.Spec.Template {
				ctx.WithLock(clone.VirtualMachine, func() {
					fault = clone.powerTo(ctx, types.VirtualMachinePowerStatePoweredOn)
				})
			}
			return reference, fault
		}),
	}}
}

// linkedMove asks for disks that hold only what differs from a snapshot.
const linkedMove = string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)

// copyTo gives the clone the content, and the settings that the simulator leaves out.
func (m *machine) copyTo(ctx *simulator.Context, clone *machine, spec types.VirtualMachineCloneSpec) types.BaseMethodFault {
	var links snapshotLinks
	if spec.Snapshot != nil {
		m.lab.mu.Lock()
		links = m.lab.snapshots[*spec.Snapshot]
		m.lab.mu.Unlock()
	}
	sources, targets := m.virtualDisks(), clone.virtualDisks()
	for index, target := range targets {
		if index >= len(sources) {
			break
		}
		layer, err := m.lab.frozen(sources[index], links)
		if err != nil {
			return systemError(err.Error())
		}
		thin := m.lab.disk(sources[index]).thin
		copied := m.lab.addDisk(backingFile(target), m.lab.store.Over(layer, layer.Capacity), thin)
		if taken := links[sources[index].Key]; taken != nil && spec.Location.DiskMoveType == linkedMove {
			copied.live.parent = taken
			taken.children++
		}
		if err := m.lab.store.Release(layer); err != nil {
			return systemError(err.Error())
		}
	}
	changes := []types.PropertyChange{
		{Name: "config.firmware", Val: m.Config.Firmware}, {Name: "config.annotation", Val: m.Config.Annotation},
	}
	options := append([]types.BaseOptionValue(nil), clone.Config.ExtraConfig...)
	for _, option := range m.Config.ExtraConfig {
		if value := option.GetOptionValue(); value.Key == toolsKey || value.Key == deafKey {
			options = append(options, option)
		}
	}
	ctx.Update(clone.VirtualMachine, append(changes, types.PropertyChange{Name: "config.extraConfig", Val: options}))
	clone.settle(ctx)
	return nil
}

// frozen is content of a disk that does not change any more, held for the caller: a snapshot's, or
// that of now, over which the disk goes on.
func (l *Lab) frozen(device *types.VirtualDisk, links snapshotLinks) (*blocks.Layer, error) {
	if taken := links[device.Key]; taken != nil {
		return l.store.Hold(taken.layer), nil
	}
	content := l.disk(device)
	still := content.live.layer
	content.live.layer = l.store.Over(still, still.Capacity)
	return still, nil // what held the live layer now holds it for the caller
}
