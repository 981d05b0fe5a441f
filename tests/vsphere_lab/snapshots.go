package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// deepestChain is how many snapshots in a row a host allows.
const deepestChain = 32

// snapshot is the simulator's snapshot, whose disks keep their content.
type snapshot struct {
	*simulator.VirtualMachineSnapshot
	lab *Lab
}

// CreateSnapshotTask freezes the disks and begins a delta over each.
func (m *machine) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{
		Returnval: m.createSnapshot(ctx, func() soap.HasFault {
			return m.VirtualMachine.CreateSnapshotTask(ctx, req)
		}),
	}}
}

// CreateSnapshotExTask is CreateSnapshotTask with more to say about quiescing.
func (m *machine) CreateSnapshotExTask(ctx *simulator.Context, req *types.CreateSnapshotEx_Task) soap.HasFault {
	return &methods.CreateSnapshotEx_TaskBody{Res: &types.CreateSnapshotEx_TaskResponse{
		Returnval: m.createSnapshot(ctx, func() soap.HasFault {
			return m.VirtualMachine.CreateSnapshotExTask(ctx, req)
		}),
	}}
}

func (m *machine) createSnapshot(ctx *simulator.Context, begin func() soap.HasFault) types.ManagedObjectReference {
	return work(ctx, m.VirtualMachine, "createSnapshotTask", func() (types.AnyType, types.BaseMethodFault) {
		if m.depth() >= deepestChain {
			return nil, &types.SnapshotFault{}
		}
		disks := m.contents()
		m.stun(disks)
		for _, content := range disks {
			content.tracker.end()
		}
		m.refreshDisks(ctx, disks) // what the simulator copies into the snapshot
		result, fault := finished(ctx, begin())
		if fault != nil {
			return nil, fault
		}
		return result, m.freezeDisks(ctx, result.(types.ManagedObjectReference), disks)
	})
}

func (m *machine) freezeDisks(ctx *simulator.Context, taken types.ManagedObjectReference, disks map[int32]*disk) types.BaseMethodFault {
	frozen := snapshotLinks{}
	for _, device := range m.virtualDisks() {
		if withoutDisk(device) {
			continue
		}
		below, err := m.lab.freeze(disks[device.Key])
		if err != nil {
			return systemError(err.Error())
		}
		frozen[device.Key] = below
	}
	m.lab.mu.Lock()
	m.lab.snapshots[taken] = frozen
	m.lab.mu.Unlock()
	m.refreshDisks(ctx, disks)
	return nil
}

// depth of the current snapshot below the root.
func (m *machine) depth() int {
	if m.Snapshot == nil || m.Snapshot.CurrentSnapshot == nil {
		return 0
	}
	return depthOf(m.Snapshot.RootSnapshotList, *m.Snapshot.CurrentSnapshot)
}

func depthOf(trees []types.VirtualMachineSnapshotTree, wanted types.ManagedObjectReference) int {
	for _, tree := range trees {
		if tree.Snapshot == wanted {
			return 1
		}
		if below := depthOf(tree.ChildSnapshotList, wanted); below > 0 {
			return below + 1
		}
	}
	return 0
}

// RemoveSnapshotTask merges what the snapshot held into what is over it.
func (s *snapshot) RemoveSnapshotTask(ctx *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	m := s.owner()
	removed := []types.ManagedObjectReference{s.Self}
	if req.RemoveChildren {
		removed = subtree(m.Snapshot.RootSnapshotList, s.Self)
	}
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "removeSnapshotTask", func() (types.AnyType, types.BaseMethodFault) {
			_, fault := finished(ctx, s.VirtualMachineSnapshot.RemoveSnapshotTask(ctx, req))
			if fault == nil {
				fault = m.mergeSnapshots(ctx, removed)
			}
			return nil, fault
		}),
	}}
}

// RemoveAllSnapshotsTask merges all snapshots of a machine.
func (m *machine) RemoveAllSnapshotsTask(ctx *simulator.Context, req *types.RemoveAllSnapshots_Task) soap.HasFault {
	var removed []types.ManagedObjectReference
	if m.Snapshot != nil {
		removed = everySnapshot(m.Snapshot.RootSnapshotList)
	}
	return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "removeAllSnapshotsTask", func() (types.AnyType, types.BaseMethodFault) {
			_, fault := finished(ctx, m.VirtualMachine.RemoveAllSnapshotsTask(ctx, req))
			if fault == nil {
				fault = m.mergeSnapshots(ctx, removed)
			}
			return nil, fault
		}),
	}}
}

// mergeSnapshots lets go of the links of removed snapshots. The caller holds the machine's lock.
func (m *machine) mergeSnapshots(ctx *simulator.Context, removed []types.ManagedObjectReference) types.BaseMethodFault {
	disks := m.contents() // by the names of before
	for index := len(removed) - 1; index >= 0; index-- {
		m.lab.mu.Lock()
		links := m.lab.snapshots[removed[index]]
		delete(m.lab.snapshots, removed[index])
		m.lab.mu.Unlock()
		for _, gone := range links {
			if err := m.lab.merge(gone); err != nil {
				return systemError(err.Error())
			}
		}
	}
	m.stun(disks)
	m.refreshDisks(ctx, disks)
	m.refreshSnapshots()
	return nil
}

// merge takes a link out of its chain; the link over it inherits its file name.
func (l *Lab) merge(gone *link) error {
	if above := l.above(gone); len(above) == 1 && gone.children == 1 {
		l.mu.Lock() // links of other machines are looked through as well
		above[0].parent = gone.parent
		l.mu.Unlock()
		l.rename(above[0], gone.file)
	} else if len(above) == 0 && gone.parent != nil {
		gone.parent.children--
		l.undescribe(gone.file)
	} else if len(above) > 1 {
		return nil // needed by several: it stays, hidden, as on a host
	}
	return l.store.Release(gone.layer)
}

// above are the links directly over one: of live disks and of snapshots.
func (l *Lab) above(below *link) []*link {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[*link]bool{}
	for _, d := range l.disks {
		if d.live.parent == below {
			found[d.live] = true
		}
	}
	for _, links := range l.snapshots {
		for _, frozen := range links {
			if frozen.parent == below {
				found[frozen] = true
			}
		}
	}
	var list []*link
	for one := range found {
		list = append(list, one)
	}
	return list
}

// refreshSnapshots makes the configurations of the snapshots left say how their files are called.
func (m *machine) refreshSnapshots() {
	if m.Snapshot == nil {
		return
	}
	for _, reference := range everySnapshot(m.Snapshot.RootSnapshotList) {
		kept, known := m.lab.registry().Get(reference).(*simulator.VirtualMachineSnapshot)
		m.lab.mu.Lock()
		links := m.lab.snapshots[reference]
		m.lab.mu.Unlock()
		if !known {
			continue
		}
		for _, device := range disksAmong(kept.Config.Hardware.Device) {
			backing, flat := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
			if flat && links[device.Key] != nil {
				device.Backing = links[device.Key].backing(*backing)
			}
		}
	}
}

// RevertToSnapshotTask brings the content of a snapshot back.
func (s *snapshot) RevertToSnapshotTask(ctx *simulator.Context, req *types.RevertToSnapshot_Task) soap.HasFault {
	m := s.owner()
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "revertToSnapshotTask", func() (types.AnyType, types.BaseMethodFault) {
			_, fault := finished(ctx, s.VirtualMachineSnapshot.RevertToSnapshotTask(ctx, req))
			if fault == nil {
				fault = m.restore(ctx, s.VirtualMachineSnapshot)
			}
			return nil, fault
		}),
	}}
}

// RevertToCurrentSnapshotTask brings the content of the current snapshot back.
func (m *machine) RevertToCurrentSnapshotTask(ctx *simulator.Context, req *types.RevertToCurrentSnapshot_Task) soap.HasFault {
	if m.Snapshot == nil || m.Snapshot.CurrentSnapshot == nil {
		return m.VirtualMachine.RevertToCurrentSnapshotTask(ctx, req)
	}
	current := ctx.Map.Get(*m.Snapshot.CurrentSnapshot).(*simulator.VirtualMachineSnapshot)
	return &methods.RevertToCurrentSnapshot_TaskBody{Res: &types.RevertToCurrentSnapshot_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "revertToCurrentSnapshotTask", func() (types.AnyType, types.BaseMethodFault) {
			return nil, m.restore(ctx, current)
		}),
	}}
}

// restore gives a machine the disks, the hardware and the power state of a snapshot.
func (m *machine) restore(ctx *simulator.Context, from *simulator.VirtualMachineSnapshot) types.BaseMethodFault {
	m.lab.mu.Lock()
	links := m.lab.snapshots[from.Self]
	m.lab.mu.Unlock()
	disks := m.contents()
	for key, frozen := range links {
		if disks[key] == nil {
			continue // the device was removed since; its file is still there
		}
		if err := m.lab.back(disks[key], frozen); err != nil {
			return systemError(err.Error())
		}
	}
	ctx.Update(m.VirtualMachine, []types.PropertyChange{
		{Name: "config.hardware.numCPU", Val: from.Config.Hardware.NumCPU},
		{Name: "config.hardware.memoryMB", Val: from.Config.Hardware.MemoryMB},
		{Name: "config.annotation", Val: from.Config.Annotation},
		{Name: "summary.config.numCpu", Val: from.Config.Hardware.NumCPU},
		{Name: "summary.config.memorySizeMB", Val: from.Config.Hardware.MemoryMB},
	})
	m.refreshDisks(ctx, disks)
	if tree := treeOf(m.Snapshot.RootSnapshotList, from.Self); tree != nil && tree.State != m.Runtime.PowerState {
		return m.powerTo(ctx, tree.State)
	}
	return nil
}

// back makes a disk continue over a frozen link.
func (l *Lab) back(d *disk, frozen *link) error {
	old := d.live
	d.deltas++
	fresh := &link{
		file: deltaName(d.base, d.deltas), parent: frozen,
		layer: l.store.Over(frozen.layer, frozen.layer.Capacity),
	}
	frozen.children++
	if old.parent != nil {
		old.parent.children--
	}
	if err := l.describe(fresh.file); err != nil {
		return err
	}
	l.setLive(d, fresh)
	d.capacity = frozen.layer.Capacity
	d.tracker.reset(d.capacity)
	return l.store.Release(old.layer)
}

func (m *machine) powerTo(ctx *simulator.Context, state types.VirtualMachinePowerState) types.BaseMethodFault {
	var answer soap.HasFault
	switch state {
	case types.VirtualMachinePowerStatePoweredOn:
		answer = m.VirtualMachine.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: m.Self})
	case types.VirtualMachinePowerStateSuspended:
		return nil
	default:
		answer = m.VirtualMachine.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: m.Self})
	}
	_, fault := finished(ctx, answer)
	if fault == nil {
		m.settle(ctx)
	}
	return fault
}

func (s *snapshot) owner() *machine {
	return &machine{s.lab.registry().Get(s.Vm).(*simulator.VirtualMachine), s.lab}
}
