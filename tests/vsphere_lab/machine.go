package main

import (
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is the simulator's virtual machine with disks that have content. It lives for one call:
// what must be kept is in the lab.
type machine struct {
	*simulator.VirtualMachine
	lab *Lab
}

// virtualDisks are the disks of a machine, in the order of its devices.
func (m *machine) virtualDisks() []*types.VirtualDisk {
	return disksAmong(m.Config.Hardware.Device)
}

func disksAmong(devices []types.BaseVirtualDevice) []*types.VirtualDisk {
	var found []*types.VirtualDisk
	for _, device := range devices {
		if virtual, is := device.(*types.VirtualDisk); is {
			found = append(found, virtual)
		}
	}
	return found
}

func (m *machine) running() bool {
	return m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
}

// withoutDisk tells whether snapshots leave a disk alone.
func withoutDisk(device *types.VirtualDisk) bool {
	backing, flat := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	return !flat || backing.DiskMode == string(types.VirtualDiskModeIndependent_persistent) ||
		backing.DiskMode == string(types.VirtualDiskModeIndependent_nonpersistent)
}

// refreshDisks makes the configuration say what the disks are now: files, chain and bookmarks.
// The caller holds the machine's lock.
func (m *machine) refreshDisks(ctx *simulator.Context, disks map[int32]*disk) {
	devices := append([]types.BaseVirtualDevice(nil), m.Config.Hardware.Device...)
	for index, device := range devices {
		virtual, is := device.(*types.VirtualDisk)
		if !is || disks[virtual.Key] == nil {
			continue
		}
		if backing, flat := virtual.Backing.(*types.VirtualDiskFlatVer2BackingInfo); flat {
			shown := *virtual
			current := disks[virtual.Key].live.backing(*backing)
			current.ChangeId = disks[virtual.Key].tracker.bookmark()
			shown.Backing = current
			devices[index] = &shown
		}
	}
	ctx.Update(m.VirtualMachine, []types.PropertyChange{
		{Name: "config.hardware.device", Val: devices}, {Name: "layout.disk", Val: layoutOf(devices)},
	})
}

// layoutOf are the files of each disk, those that it is based on included.
func layoutOf(devices []types.BaseVirtualDevice) []types.VirtualMachineFileLayoutDiskLayout {
	var found []types.VirtualMachineFileLayoutDiskLayout
	for _, device := range devices {
		backing, flat := device.GetVirtualDevice().Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		if !flat {
			continue
		}
		layout := types.VirtualMachineFileLayoutDiskLayout{Key: device.GetVirtualDevice().Key}
		for ; backing != nil; backing = backing.Parent {
			layout.DiskFile = append(layout.DiskFile, backing.FileName)
		}
		found = append(found, layout)
	}
	return found
}

// contents are the disks of a machine by device key.
func (m *machine) contents() map[int32]*disk {
	found := map[int32]*disk{}
	for _, device := range m.virtualDisks() {
		found[device.Key] = m.lab.disk(device)
	}
	return found
}

// stun is the short stop in which change tracking that was asked for begins, or ends.
func (m *machine) stun(disks map[int32]*disk) {
	enabled := m.Config.ChangeTrackingEnabled != nil && *m.Config.ChangeTrackingEnabled
	for _, device := range m.virtualDisks() {
		if withoutDisk(device) {
			continue
		}
		if enabled {
			disks[device.Key].tracker.start()
		} else {
			disks[device.Key].tracker.stop()
		}
	}
}

// settle is called in a task after the simulator changed the power state.
func (m *machine) settle(ctx *simulator.Context) {
	disks := m.contents()
	m.stun(disks)
	m.refreshDisks(ctx, disks)
	m.refreshGuest(ctx)
}

// refreshGuest makes what VMware Tools tell fit the power state.
func (m *machine) refreshGuest(ctx *simulator.Context) {
	if m.Guest == nil {
		return
	}
	state, status, tools := "notRunning", "guestToolsNotRunning", types.VirtualMachineToolsStatusToolsNotRunning
	var addresses []types.GuestNicInfo
	if m.running() && m.hasTools() {
		state, status, tools = "running", "guestToolsRunning", types.VirtualMachineToolsStatusToolsOk
	}
	if !m.hasTools() {
		tools = types.VirtualMachineToolsStatusToolsNotInstalled
	}
	for index, nic := range m.Guest.Net {
		nic.Connected = m.running()
		nic.IpAddress = nil
		if state == "running" {
			nic.IpAddress = []string{m.address(index)}
		}
		addresses = append(addresses, nic)
	}
	changes := []types.PropertyChange{
		{Name: "guest.guestState", Val: state}, {Name: "guest.toolsRunningStatus", Val: status},
		{Name: "guest.toolsStatus", Val: tools}, {Name: "summary.guest.toolsRunningStatus", Val: status},
		{Name: "summary.guest.toolsStatus", Val: tools},
		{Name: "guest.net", Val: addresses},
	}
	host, address := "", ""
	if state == "running" {
		host = m.Name
		if len(addresses) > 0 {
			address = m.address(0)
		}
	}
	changes = append(changes,
		types.PropertyChange{Name: "guest.hostName", Val: host},
		types.PropertyChange{Name: "guest.ipAddress", Val: address},
		types.PropertyChange{Name: "summary.guest.hostName", Val: host},
		types.PropertyChange{Name: "summary.guest.ipAddress", Val: address})
	ctx.Update(m.VirtualMachine, changes)
}

// hasTools tells whether VMware Tools are installed in the guest: where nothing says they are not.
func (m *machine) hasTools() bool {
	return m.setting(toolsKey) != "FALSE"
}

func (m *machine) address(nic int) string {
	number := 0
	for _, digit := range m.Self.Value {
		if digit >= '0' && digit <= '9' {
			number = number*10 + int(digit-'0')
		}
	}
	return fmtAddress(number, nic)
}

// power runs one of the simulator's power tasks and settles what follows from it.
func (m *machine) power(ctx *simulator.Context, name string, begin func() soap.HasFault) types.ManagedObjectReference {
	return work(ctx, m.VirtualMachine, name, func() (types.AnyType, types.BaseMethodFault) {
		result, fault := finished(ctx, begin())
		if fault == nil {
			m.settle(ctx)
		}
		return result, fault
	})
}

// PowerOnVMTask starts the guest, and change tracking where it was switched on.
func (m *machine) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	if m.Config.Template {
		return m.VirtualMachine.PowerOnVMTask(ctx, req)
	}
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{
		Returnval: m.power(ctx, "powerOnVMTask", func() soap.HasFault {
			return m.VirtualMachine.PowerOnVMTask(ctx, req)
		}),
	}}
}

// PowerOffVMTask stops the guest at once.
func (m *machine) PowerOffVMTask(ctx *simulator.Context, req *types.PowerOffVM_Task) soap.HasFault {
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{
		Returnval: m.power(ctx, "powerOffVMTask", func() soap.HasFault {
			return m.VirtualMachine.PowerOffVMTask(ctx, req)
		}),
	}}
}

// SuspendVMTask stops the guest and keeps its memory.
func (m *machine) SuspendVMTask(ctx *simulator.Context, req *types.SuspendVM_Task) soap.HasFault {
	return &methods.SuspendVM_TaskBody{Res: &types.SuspendVM_TaskResponse{
		Returnval: m.power(ctx, "suspendVMTask", func() soap.HasFault {
			return m.VirtualMachine.SuspendVMTask(ctx, req)
		}),
	}}
}

// ResetVMTask restarts the guest at once.
func (m *machine) ResetVMTask(ctx *simulator.Context, req *types.ResetVM_Task) soap.HasFault {
	return &methods.ResetVM_TaskBody{Res: &types.ResetVM_TaskResponse{
		Returnval: m.power(ctx, "resetVMTask", func() soap.HasFault {
			return m.VirtualMachine.ResetVMTask(ctx, req)
		}),
	}}
}

// ShutdownGuest asks the guest to stop; it needs VMware Tools, and takes its time.
func (m *machine) ShutdownGuest(ctx *simulator.Context, req *types.ShutdownGuest) soap.HasFault {
	if fault := m.needsTools(); fault != nil {
		return &methods.ShutdownGuestBody{Fault_: fault}
	}
	if m.deaf() {
		return &methods.ShutdownGuestBody{Res: &types.ShutdownGuestResponse{}}
	}
	time.AfterFunc(m.lab.options.shutdown, func() { m.stopGuest() })
	return &methods.ShutdownGuestBody{Res: &types.ShutdownGuestResponse{}}
}

func (m *machine) stopGuest() {
	ctx := m.lab.context()
	ctx.WithLock(m.VirtualMachine, func() {
		if _, fault := finished(ctx, m.VirtualMachine.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: m.Self})); fault == nil {
			m.settle(ctx)
		}
	})
}

// RebootGuest asks the guest to restart; it needs VMware Tools.
func (m *machine) RebootGuest(ctx *simulator.Context, req *types.RebootGuest) soap.HasFault {
	if fault := m.needsTools(); fault != nil {
		return &methods.RebootGuestBody{Fault_: fault}
	}
	ctx.Update(m.VirtualMachine, []types.PropertyChange{
		{Name: "runtime.bootTime", Val: time.Now()},
		{Name: "summary.runtime.bootTime", Val: time.Now()},
	})
	return &methods.RebootGuestBody{Res: &types.RebootGuestResponse{}}
}

func (m *machine) needsTools() *soap.Fault {
	if !m.running() {
		return simulator.Fault("the machine does not run", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn,
			ExistingState:  m.Runtime.PowerState,
		})
	}
	if !m.hasTools() {
		return simulator.Fault("VMware Tools are not running", &types.ToolsUnavailable{})
	}
	return nil
}
