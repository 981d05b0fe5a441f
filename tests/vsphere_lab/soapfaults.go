package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// faultFor is the fault that was asked for this call, if any.
func (l *Lab) faultFor(method *simulator.Method) types.BaseMethodFault {
	where := l.spotOf(method.This)
	f := l.faults.use("soap_fault", func(f *fault) bool {
		return (f.Method == "" || f.Method == method.Name) && f.hits(where)
	})
	if f != nil {
		return l.makeFault(f, method.This)
	}
	f = l.faults.use("session_loss", func(f *fault) bool { return f.Method != "" && f.Method == method.Name })
	if f != nil {
		l.endSessions()
		return notAuthenticated(method.This)
	}
	if where.vm != "" && needsHost[method.Name] && l.faults.unreachable(where.host) {
		return &types.HostNotConnected{}
	}
	return nil
}

// needsHost are the calls that a vCenter passes on to the host of a machine.
var needsHost = map[string]bool{
	"PowerOnVM_Task": true, "PowerOffVM_Task": true, "SuspendVM_Task": true, "ResetVM_Task": true,
	"ReconfigVM_Task": true, "CreateSnapshot_Task": true, "CreateSnapshotEx_Task": true,
	"RemoveSnapshot_Task": true, "RemoveAllSnapshots_Task": true, "RevertToSnapshot_Task": true,
	"ShutdownGuest": true, "RebootGuest": true, "QueryChangedDiskAreas": true, "Destroy_Task": true,
	"CloneVM_Task": true,
}

// spotOf is the place of a managed object: a machine, or a snapshot or lease of one.
func (l *Lab) spotOf(reference types.ManagedObjectReference) spot {
	var vm *simulator.VirtualMachine
	switch object := l.registry().Get(reference).(type) {
	case *simulator.VirtualMachine:
		vm = object
	case *simulator.VirtualMachineSnapshot:
		vm, _ = l.registry().Get(object.Vm).(*simulator.VirtualMachine)
	case *Lease:
		vm = object.vm.VirtualMachine
	}
	if vm == nil {
		return spot{disk: -1}
	}
	return spot{vm: vm.Name, disk: -1, host: l.hostName(vm)}
}

// makeFault is the vSphere fault of this name; InvalidState when the name is empty or unknown.
func (l *Lab) makeFault(f *fault, object types.ManagedObjectReference) types.BaseMethodFault {
	if f.Fault == "NoPermission" || f.Fault == "NotAuthenticated" {
		lacking := types.NoPermission{Object: &object, PrivilegeId: f.Privilege}
		if lacking.PrivilegeId == "" {
			lacking.PrivilegeId = privileges[f.Method]
		}
		if f.Fault == "NotAuthenticated" {
			return &types.NotAuthenticated{NoPermission: lacking}
		}
		return &lacking
	}
	kind, known := types.TypeFunc()(f.Fault)
	if known {
		if made, is := reflect.New(kind).Interface().(types.BaseMethodFault); is {
			return made
		}
	}
	return &types.InvalidState{}
}

// privileges that the calls of an export need.
var privileges = map[string]string{
	"ExportVm": "VApp.Export", "ExportSnapshot": "VApp.Export", "ImportVApp": "VApp.Import",
	"CreateSnapshot_Task":   "VirtualMachine.State.CreateSnapshot",
	"CreateSnapshotEx_Task": "VirtualMachine.State.CreateSnapshot",
	"RemoveSnapshot_Task":   "VirtualMachine.State.RemoveSnapshot",
	"RevertToSnapshot_Task": "VirtualMachine.State.RevertToSnapshot",
	"ReconfigVM_Task":       "VirtualMachine.Config.Settings",
	"QueryChangedDiskAreas": "VirtualMachine.Provisioning.DiskRandomRead",
	"PowerOnVM_Task":        "VirtualMachine.Interact.PowerOn",
	"PowerOffVM_Task":       "VirtualMachine.Interact.PowerOff",
	"CloneVM_Task":          "VirtualMachine.Provisioning.Clone",
	"Destroy_Task":          "VirtualMachine.Inventory.Delete",
	"CreateVM_Task":         "VirtualMachine.Inventory.Create",
}

// strike begins a fault that does not wait for a call or a stream.
func (l *Lab) strike(f *fault) error {
	if f.Kind == "host_unreachable" && l.host(f.Host) == nil {
		return fmt.Errorf("no host %q", f.Host)
	}
	if f.Kind == "session_loss" && !f.located && f.Method == "" {
		l.endSessions()
		return nil
	}
	if f.Kind == "vmotion" && !f.located {
		f.located = true
	}
	if f.Kind == "lease_expiry" && l.expireLeases(f) {
		return nil
	}
	if err := l.faults.add(f); err != nil {
		return err
	}
	if f.Kind == "host_unreachable" {
		l.connect(f.Host, false)
	}
	return nil
}

// expireLeases sets an end to the leases there are; false when there is none.
func (l *Lab) expireLeases(f *fault) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := false
	for _, lease := range l.leases {
		if f.VM == "" || lease.vm.Name == f.VM {
			time.AfterFunc(seconds(f.Seconds), lease.expire)
			found = true
		}
	}
	return found
}

// clearFaults takes all back, and connects hosts again.
func (l *Lab) clearFaults() {
	l.faults.clear()
	for _, entity := range l.registry().All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		if host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
			l.connect(host.Name, true)
		}
	}
}

// connect shows a host, and the machines on it, as connected or not.
func (l *Lab) connect(name string, connected bool) {
	hostState := types.HostSystemConnectionStateNotResponding
	vmState := types.VirtualMachineConnectionStateDisconnected
	if connected {
		hostState = types.HostSystemConnectionStateConnected
		vmState = types.VirtualMachineConnectionStateConnected
	}
	ctx, host := l.context(), l.host(name)
	ctx.WithLock(host, func() {
		ctx.Update(host, []types.PropertyChange{
			{Name: "runtime.connectionState", Val: hostState},
			{Name: "summary.runtime.connectionState", Val: hostState},
		})
	})
	// The host's own list may still name machines that are gone by now.
	for _, m := range l.machines() {
		if l.hostName(m.VirtualMachine) != name {
			continue
		}
		ctx.WithLock(m.VirtualMachine, func() {
			ctx.Update(m.VirtualMachine, []types.PropertyChange{
				{Name: "runtime.connectionState", Val: vmState},
				{Name: "summary.runtime.connectionState", Val: vmState},
			})
		})
	}
}

func (e *Lease) failHost() {
	e.fail(&types.HostCommunication{}, "the host ended the transfer")
}
