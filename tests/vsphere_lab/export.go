package main

import (
	"fmt"
	"net/url"
	"path"
	"reflect"
	"strings"

	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// transfer is one file of a lease: a disk, or an image or NVRAM beside it.
type transfer struct {
	name      string // last part of the URL
	url       types.HttpNfcLeaseDeviceUrl
	layer     *blocks.Layer // a disk's content, held while the lease lives
	file      string        // the real file, for what is no disk
	capacity  int64         // bytes of the disk
	datastore string
	device    int32 // key of the virtual device, 0 for NVRAM
	target    *disk // where an upload goes
	entry     *types.HttpNfcLeaseManifestEntry
}

func (t *transfer) disk() bool { return t.url.Disk != nil && *t.url.Disk }

func (t *transfer) release(lab *Lab) {
	if t.layer != nil && t.target == nil {
		_ = lab.store.Release(t.layer)
		t.layer = nil
	}
}

// ExportVm begins a lease for all disks of a machine that is off.
func (m *machine) ExportVm(*simulator.Context, *types.ExportVm) soap.HasFault {
	if m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		return &methods.ExportVmBody{Fault_: simulator.Fault("the machine is not off", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: m.Runtime.PowerState,
		})}
	}
	lease := m.lab.newLease(m, "export")
	lease.offer(m.Config.Hardware.Device, func(device *types.VirtualDisk) *blocks.Layer {
		return m.lab.disk(device).live.layer
	})
	lease.begin()
	return &methods.ExportVmBody{Res: &types.ExportVmResponse{Returnval: lease.Self}}
}

// ExportSnapshot begins a lease for the disks as they were; the machine may run.
func (s *snapshot) ExportSnapshot(*simulator.Context, *types.ExportSnapshot) soap.HasFault {
	m := s.owner()
	lease := m.lab.newLease(m, "export")
	lease.snapshot = &s.Self
	s.lab.mu.Lock()
	links := s.lab.snapshots[s.Self]
	s.lab.mu.Unlock()
	lease.offer(s.Config.Hardware.Device, func(device *types.VirtualDisk) *blocks.Layer {
		if frozen := links[device.Key]; frozen != nil {
			return frozen.layer
		}
		return nil
	})
	lease.begin()
	return &methods.ExportSnapshotBody{Res: &types.ExportSnapshotResponse{Returnval: lease.Self}}
}

// offer lists the disks among the devices, then images of drives, then NVRAM.
func (e *Lease) offer(devices []types.BaseVirtualDevice, content func(*types.VirtualDisk) *blocks.Layer) {
	for _, device := range disksAmong(devices) {
		if layer := content(device); layer != nil {
			e.offerDisk(devices, device, layer)
		}
	}
	for _, device := range devices {
		if drive, is := device.(*types.VirtualCdrom); is && strings.HasSuffix(backingFile(drive), ".iso") {
			e.offerFile(deviceName(devices, drive), backingFile(drive), drive.Key, false)
		}
	}
	if e.vm.Config.Firmware == string(types.GuestOsDescriptorFirmwareTypeEfi) {
		vmx := parsePlace(e.vm.Config.Files.VmPathName)
		vmx.Path = path.Join(path.Dir(vmx.Path), e.vm.Name+".nvram")
		e.offerFile("nvram", vmx.String(), 0, true)
	}
}

func (e *Lease) offerDisk(devices []types.BaseVirtualDevice, device *types.VirtualDisk, layer *blocks.Layer) {
	number := len(e.transfers)
	one := &transfer{
		name: fmt.Sprintf("disk-%d.vmdk", number), layer: e.lab.store.Hold(layer),
		capacity: layer.Capacity, datastore: parsePlace(backingFile(device)).Datastore, device: device.Key,
	}
	one.url = e.deviceURL(deviceName(devices, device), one.name, true)
	one.url.TargetId = one.name
	one.url.FileSize = layer.Allocated().Count() * blocks.Size
	e.transfers = append(e.transfers, one)
}

// offerFile lists what is no disk; images of drives have no target, so clients skip them.
func (e *Lease) offerFile(key, file string, device int32, named bool) {
	one := &transfer{
		name: fmt.Sprintf("disk-%d%s", len(e.transfers), path.Ext(file)), file: e.lab.local(file),
		datastore: parsePlace(file).Datastore, device: device,
	}
	one.url = e.deviceURL(key, one.name, false)
	if named {
		one.url.TargetId = one.name
	}
	e.transfers = append(e.transfers, one)
}

func (e *Lease) deviceURL(device, name string, disk bool) types.HttpNfcLeaseDeviceUrl {
	place := url.URL{Scheme: "https", Host: e.lab.server.address, Path: path.Join("/nfc", e.token, name)}
	if e.lab.options.esx {
		place.Host = "*" // the client puts in whom it connected to
	}
	return types.HttpNfcLeaseDeviceUrl{
		Key: fmt.Sprintf("/%s/%s", e.vm.Self.Value, device), ImportKey: fmt.Sprintf("/%s/%s", e.vm.Name, device),
		Url: place.String(), SslThumbprint: e.lab.server.thumbprint,
		SslCertificate: e.lab.server.certificate, Disk: types.NewBool(disk),
	}
}

// deviceName is "ParaVirtualSCSIController0:1" for the second place of the first such controller.
func deviceName(devices []types.BaseVirtualDevice, device types.BaseVirtualDevice) string {
	own := device.GetVirtualDevice()
	unit := int32(0)
	if own.UnitNumber != nil {
		unit = *own.UnitNumber
	}
	for _, candidate := range devices {
		controller, is := candidate.(types.BaseVirtualController)
		if is && candidate.GetVirtualDevice().Key == own.ControllerKey {
			kind := reflect.TypeOf(candidate).Elem().Name()
			return fmt.Sprintf("%s%d:%d", kind, controller.GetVirtualController().BusNumber, unit)
		}
	}
	return fmt.Sprintf("%s:%d", reflect.TypeOf(device).Elem().Name(), unit)
}

// lockedByExport are the calls that must wait while all of a machine is exported or imported.
var lockedByExport = map[string]bool{
	"PowerOnVM_Task": true, "Destroy_Task": true, "ReconfigVM_Task": true, "ExportVm": true,
	"CloneVM_Task": true, "RelocateVM_Task": true, "CreateSnapshot_Task": true,
	"CreateSnapshotEx_Task": true, "RemoveAllSnapshots_Task": true, "UnregisterVM": true,
	"MarkAsTemplate": true, "RevertToCurrentSnapshot_Task": true, "MigrateVM_Task": true,
	"RemoveSnapshot_Task": true, "RevertToSnapshot_Task": true,
}

// lockedBySnapshot are the calls that must wait while a snapshot of a machine is exported.
var lockedBySnapshot = map[string]bool{
	"Destroy_Task": true, "RemoveAllSnapshots_Task": true, "UnregisterVM": true,
	"RevertToCurrentSnapshot_Task": true, "RevertToSnapshot_Task": true, "MigrateVM_Task": true,
	"RelocateVM_Task": true,
}

// locked is a fault when a lease forbids a call.
func (l *Lab) locked(method *simulator.Method) types.BaseMethodFault {
	if !lockedByExport[method.Name] {
		return nil
	}
	vm := method.This
	if taken, is := l.registry().Get(method.This).(*simulator.VirtualMachineSnapshot); is {
		vm = taken.Vm
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lease := range l.leases {
		if lease.vm.Self != vm {
			continue
		}
		ofSnapshot := lease.snapshot != nil
		if !ofSnapshot || lockedBySnapshot[method.Name] || *lease.snapshot == method.This {
			return &types.TaskInProgress{Task: types.ManagedObjectReference{Type: "Task", Value: "task-" + lease.token}}
		}
	}
	return nil
}
