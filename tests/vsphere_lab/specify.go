package main

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"hypersdk/vspherelab/blocks"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Keys of devices, as vSphere numbers them.
const (
	scsiKey    = 1000
	diskKey    = 2000
	cdromKey   = 3000
	nicKey     = 4000
	usbKey     = 7000
	tpmKey     = 11000
	passKey    = 13000
	ideKey     = 200 // a controller that every machine has
	perSCSI    = 15  // disks on a SCSI controller; unit 7 is its own
	scsiUnit   = 7
	controlled = 16 // device keys of a controller
)

// specify is the configuration of a machine to make.
func (l *Lab) specify(request machineRequest, layers []*blocks.Layer) (types.VirtualMachineConfigSpec, error) {
	identity := uuid.NewString()
	spec := types.VirtualMachineConfigSpec{
		Name: request.Name, Uuid: uuid.NewString(), InstanceUuid: identity, GuestId: request.GuestOS,
		NumCPUs: request.VCPUs, MemoryMB: request.MemoryMB, Firmware: request.Firmware, Version: "vmx-20",
		Annotation: request.Annotation, ChangeTrackingEnabled: types.NewBool(request.CBT),
		Files: &types.VirtualMachineFileInfo{VmPathName: "[" + request.Datastore + "]"},
	}
	tools := request.Tools == nil || *request.Tools
	for key, on := range map[string]bool{toolsKey: tools, deafKey: request.Deaf} {
		value := strings.ToUpper(strconv.FormatBool(on))
		spec.ExtraConfig = append(spec.ExtraConfig, &types.OptionValue{Key: key, Value: value})
	}
	for key, value := range request.Extra {
		spec.ExtraConfig = append(spec.ExtraConfig, &types.OptionValue{Key: key, Value: value})
	}
	devices := diskDevices(request.Disks, layers)
	for index, nic := range request.NICs {
		card, err := l.card(index, nic.Network)
		if err != nil {
			return spec, err
		}
		devices = append(devices, card)
	}
	for _, kind := range request.Devices {
		extra, err := l.extraDevices(kind, request)
		if err != nil {
			return spec, err
		}
		devices = append(devices, extra...)
	}
	for _, device := range devices {
		change := &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: device}
		if _, is := device.(*types.VirtualDisk); is {
			change.FileOperation = types.VirtualDeviceConfigSpecFileOperationCreate
		}
		spec.DeviceChange = append(spec.DeviceChange, change)
	}
	return spec, nil
}

// diskDevices are the disks, and the SCSI controllers they need.
func diskDevices(requests []diskRequest, layers []*blocks.Layer) []types.BaseVirtualDevice {
	var devices []types.BaseVirtualDevice
	for index, request := range requests {
		bus, place := index/perSCSI, index%perSCSI
		if place == 0 {
			devices = append(devices, scsiController(int32(bus)))
		}
		unit := int32(place)
		if unit >= scsiUnit {
			unit++
		}
		device := &types.VirtualDisk{CapacityInBytes: layers[index].Capacity, CapacityInKB: layers[index].Capacity / 1024}
		device.Key = diskKey + int32(bus*controlled) + unit
		device.ControllerKey = scsiKey + int32(bus)
		device.UnitNumber = &unit
		device.Backing = diskBacking(request)
		devices = append(devices, device)
	}
	return devices
}

func scsiController(bus int32) types.BaseVirtualDevice {
	controller := &types.ParaVirtualSCSIController{}
	controller.Key = scsiKey + bus
	controller.BusNumber = bus
	controller.SharedBus = types.VirtualSCSISharingNoSharing
	controller.ScsiCtlrUnitNumber = scsiUnit
	return controller
}

func diskBacking(request diskRequest) types.BaseVirtualDeviceBackingInfo {
	if request.Mode == "" {
		request.Mode = string(types.VirtualDiskModePersistent)
	}
	if request.RDM != "" {
		return &types.VirtualDiskRawDiskMappingVer1BackingInfo{
			CompatibilityMode: request.RDM, LunUuid: uuid.NewString(), DeviceName: "vml.0200000000",
			DiskMode: request.Mode, Uuid: uuid.NewString(),
		}
	}
	backing := &types.VirtualDiskFlatVer2BackingInfo{
		DiskMode: request.Mode, ThinProvisioned: types.NewBool(request.Thin == nil || *request.Thin),
		Uuid: "6000c29" + uuid.NewString()[7:],
	}
	if request.Shared {
		backing.Sharing = string(types.VirtualDiskSharingSharingMultiWriter)
	}
	return backing
}

// card is a network card on a network of this name.
func (l *Lab) card(index int, network string) (types.BaseVirtualDevice, error) {
	unit := int32(index) + 7
	card := &types.VirtualVmxnet3{}
	card.Key = nicKey + int32(index)
	card.ControllerKey = 100
	card.UnitNumber = &unit
	card.AddressType = string(types.VirtualEthernetCardMacTypeAssigned)
	if network == "" {
		network = "VM Network"
	}
	switch found := l.registry().FindByName(network, l.datacenter().Network).(type) {
	case *mo.Network:
		card.Backing = &types.VirtualEthernetCardNetworkBackingInfo{
			VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: network},
		}
	case *simulator.DistributedVirtualPortgroup:
		dvs := l.registry().Get(*found.Config.DistributedVirtualSwitch).(*simulator.DistributedVirtualSwitch)
		card.Backing = &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{
			Port: types.DistributedVirtualSwitchPortConnection{PortgroupKey: found.Key, SwitchUuid: dvs.Uuid},
		}
	default:
		return nil, fmt.Errorf("network %q: %w", network, errUnknown)
	}
	return card, nil
}

// extraDevices are the devices beside disks and networks that exports must deal with.
func (l *Lab) extraDevices(kind string, request machineRequest) ([]types.BaseVirtualDevice, error) {
	switch kind {
	case "usb":
		controller := &types.VirtualUSBController{}
		controller.Key = usbKey
		device := &types.VirtualUSB{Connected: true, Vendor: 0x951, Product: 0x1666}
		device.Key = usbKey + 1
		device.ControllerKey = usbKey
		device.Backing = &types.VirtualUSBUSBBackingInfo{
			VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "path:1/0/0"},
		}
		return []types.BaseVirtualDevice{controller, device}, nil
	case "tpm":
		device := &types.VirtualTPM{}
		device.Key = tpmKey
		return []types.BaseVirtualDevice{device}, nil
	case "pci":
		device := &types.VirtualPCIPassthrough{}
		device.Key = passKey
		device.ControllerKey = 100
		device.Backing = &types.VirtualPCIPassthroughDeviceBackingInfo{
			VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "GPU"},
			Id:                             "0000:3b:00.0", DeviceId: "1eb8", SystemId: "lab", VendorId: 0x10de,
		}
		return []types.BaseVirtualDevice{device}, nil
	case "cdrom":
		return l.drive(request)
	default:
		return nil, fmt.Errorf("device %q: %w; there are usb, tpm, pci and cdrom", kind, errUnknown)
	}
}

// drive is a CD drive with an image in it.
func (l *Lab) drive(request machineRequest) ([]types.BaseVirtualDevice, error) {
	image := fmt.Sprintf("[%s] iso/%s.iso", request.Datastore, request.Name)
	file := l.local(image)
	if err := os.MkdirAll(path.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, make([]byte, 64<<10), 0o600); err != nil {
		return nil, err
	}
	unit := int32(0)
	device := &types.VirtualCdrom{}
	device.Key = cdromKey
	device.ControllerKey = ideKey
	device.UnitNumber = &unit
	device.Backing = &types.VirtualCdromIsoBackingInfo{
		VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: image},
	}
	return []types.BaseVirtualDevice{device}, nil
}
