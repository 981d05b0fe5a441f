package main

import (
	"net"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// ReconfigVMTask changes hardware and settings; disks follow: new ones are blank, larger ones grow.
func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	deleted := deletedFiles(&req.Spec)
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "reconfigVMTask", func() (types.AnyType, types.BaseMethodFault) {
			if fault := m.shrinks(&req.Spec); fault != nil {
				return nil, fault
			}
			m.lab.measure(&req.Spec)
			result, fault := finished(ctx, m.VirtualMachine.ReconfigVMTask(ctx, req))
			if fault != nil {
				return nil, fault
			}
			for _, file := range deleted {
				if err := m.lab.forget(file); err != nil {
					return nil, systemError(err.Error())
				}
			}
			return result, m.follow(ctx)
		}),
	}}
}

// measure gives disks that are attached as they are the size of their files.
func (l *Lab) measure(spec *types.VirtualMachineConfigSpec) {
	for _, change := range spec.DeviceChange {
		device := change.GetVirtualDeviceConfigSpec()
		virtual, is := device.Device.(*types.VirtualDisk)
		if !is || device.Operation != types.VirtualDeviceConfigSpecOperationAdd || device.FileOperation != "" {
			continue
		}
		l.mu.Lock()
		if known := l.disks[backingFile(virtual)]; known != nil {
			virtual.CapacityInBytes, virtual.CapacityInKB = known.capacity, known.capacity/1024
		}
		l.mu.Unlock()
	}
}

// deletedFiles are the disks whose files a change deletes.
func deletedFiles(spec *types.VirtualMachineConfigSpec) []string {
	var files []string
	for _, change := range spec.DeviceChange {
		device := change.GetVirtualDeviceConfigSpec()
		if device.Operation == types.VirtualDeviceConfigSpecOperationRemove &&
			device.FileOperation == types.VirtualDeviceConfigSpecFileOperationDestroy {
			files = append(files, backingFile(device.Device))
		}
	}
	return files
}

// shrinks refuses to grow a disk with snapshots, as a host does.
func (m *machine) shrinks(spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	for _, change := range spec.DeviceChange {
		device := change.GetVirtualDeviceConfigSpec()
		virtual, is := device.Device.(*types.VirtualDisk)
		if !is || device.Operation != types.VirtualDeviceConfigSpecOperationEdit {
			continue
		}
		current := m.deviceWithKey(virtual.Key)
		if current == nil || m.lab.disk(current).live.parent == nil {
			continue
		}
		if size := sizeOf(virtual); size > 0 && size != current.CapacityInBytes {
			return &types.InvalidDeviceSpec{}
		}
	}
	return nil
}

func (m *machine) deviceWithKey(key int32) *types.VirtualDisk {
	for _, device := range m.virtualDisks() {
		if device.Key == key {
			return device
		}
	}
	return nil
}

func sizeOf(device *types.VirtualDisk) int64 {
	if device.CapacityInBytes > 0 {
		return device.CapacityInBytes
	}
	return device.CapacityInKB * 1024
}

// follow makes the contents fit the devices after a change. The caller holds the machine's lock.
func (m *machine) follow(ctx *simulator.Context) types.BaseMethodFault {
	disks := m.contents()
	for _, device := range m.virtualDisks() {
		content := disks[device.Key]
		if sizeOf(device) > content.capacity && content.live.parent == nil {
			if err := m.lab.grow(content, sizeOf(device)); err != nil {
				return systemError(err.Error())
			}
		}
	}
	if !m.running() {
		m.stun(disks) // a running machine notices at its next stun
	}
	m.refreshDisks(ctx, disks)
	return nil
}

// DestroyTask removes the machine, its snapshots and the contents of its disks.
func (m *machine) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	var files []string
	for _, device := range m.virtualDisks() {
		files = append(files, backingFile(device))
	}
	var taken []types.ManagedObjectReference
	if m.Snapshot != nil {
		taken = everySnapshot(m.Snapshot.RootSnapshotList)
	}
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "destroyTask", func() (types.AnyType, types.BaseMethodFault) {
			if ctx.Map.Get(m.Self) == nil {
				return nil, &types.ManagedObjectNotFound{Obj: m.Self} // somebody else was faster
			}
			_, fault := finished(ctx, m.VirtualMachine.DestroyTask(ctx, req))
			if fault != nil {
				return nil, fault
			}
			m.lab.mu.Lock()
			for _, snapshot := range taken {
				delete(m.lab.snapshots, snapshot)
			}
			m.lab.mu.Unlock()
			for _, snapshot := range taken {
				ctx.Map.Remove(ctx, snapshot)
			}
			for _, file := range files {
				if err := m.lab.drop(file); err != nil {
					return nil, systemError(err.Error())
				}
			}
			return nil, nil
		}),
	}}
}

// drop forgets a disk of a machine that is gone, unless another machine has it too.
func (l *Lab) drop(file string) error {
	for _, other := range l.machines() {
		for _, device := range other.virtualDisks() {
			if backingFile(device) == file {
				return nil
			}
		}
	}
	return l.forget(file)
}

// ConsolidateVMDisksTask has nothing to do: removing a snapshot always merges.
func (m *machine) ConsolidateVMDisksTask(ctx *simulator.Context, _ *types.ConsolidateVMDisks_Task) soap.HasFault {
	return &methods.ConsolidateVMDisks_TaskBody{Res: &types.ConsolidateVMDisks_TaskResponse{
		Returnval: work(ctx, m.VirtualMachine, "consolidateVMDisksTask", func() (types.AnyType, types.BaseMethodFault) {
			ctx.Update(m.VirtualMachine, []types.PropertyChange{{Name: "runtime.consolidationNeeded", Val: false}})
			return nil, nil
		}),
	}}
}

// AcquireTicket gives a ticket for the console of a running machine.
func (m *machine) AcquireTicket(_ *simulator.Context, req *types.AcquireTicket) soap.HasFault {
	if !m.running() {
		return &methods.AcquireTicketBody{Fault_: simulator.Fault("the machine does not run", &types.InvalidState{})}
	}
	host, _, _ := net.SplitHostPort(m.lab.server.address)
	ticket := types.VirtualMachineTicket{
		Ticket: uuid.NewString(), CfgFile: m.Config.Files.VmPathName, Host: host, Port: 443,
		SslThumbprint: m.lab.server.thumbprint,
	}
	if req.TicketType == string(types.VirtualMachineTicketTypeWebmks) {
		ticket.Url = "wss://" + m.lab.server.address + "/ticket/" + ticket.Ticket
	}
	return &methods.AcquireTicketBody{Res: &types.AcquireTicketResponse{Returnval: ticket}}
}
