package main

import (
	"fmt"
	"path"
	"strings"

	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// pool is the simulator's resource pool, whose imports keep their disks.
type pool struct {
	*simulator.ResourcePool
	lab *Lab
}

// CreateImportSpec turns a descriptor into the specification of a machine, as the simulator does,
// with what it leaves out: firmware and thin disks. A descriptor it stumbles over is refused.
func (o *ovfManager) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) (answer soap.HasFault) {
	defer func() {
		if reason := recover(); reason != nil {
			answer = &methods.CreateImportSpecBody{
				Fault_: simulator.Fault(fmt.Sprint(reason), &types.InvalidArgument{InvalidProperty: "ovfDescriptor"}),
			}
		}
	}()
	answer = o.OvfManager.CreateImportSpec(ctx, req)
	body, is := answer.(*methods.CreateImportSpecBody)
	if !is || body.Res == nil {
		return answer
	}
	spec, is := body.Res.Returnval.ImportSpec.(*types.VirtualMachineImportSpec)
	if !is {
		return answer
	}
	if strings.Contains(req.OvfDescriptor, `vmw:key="firmware" vmw:value="efi"`) {
		spec.ConfigSpec.Firmware = string(types.GuestOsDescriptorFirmwareTypeEfi)
	}
	spec.ConfigSpec.ExtraConfig = append(spec.ConfigSpec.ExtraConfig,
		&types.OptionValue{Key: toolsKey, Value: "TRUE"})
	provisioning := req.Cisp.GetOvfCreateImportSpecParams().DiskProvisioning
	number := int32(0)
	for _, change := range spec.ConfigSpec.DeviceChange {
		device, is := change.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk)
		if !is {
			continue
		}
		device.Key = diskKey + number
		number++
		if backing, flat := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo); flat {
			backing.ThinProvisioned = types.NewBool(provisioning == "" || provisioning == "thin")
			backing.FileName = "" // named after the machine's folder, whatever that will be
		}
	}
	return answer
}

// ImportVApp makes the machine, and begins a lease for what its disks are to hold.
func (p *pool) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	spec, is := req.Spec.(*types.VirtualMachineImportSpec)
	if !is {
		return importFault(&types.InvalidArgument{InvalidProperty: "spec"})
	}
	reference := p.lab.datacenter().VmFolder
	if req.Folder != nil {
		reference = *req.Folder
	}
	folder, is := ctx.Map.Get(reference).(*simulator.Folder)
	if !is {
		return importFault(&types.ManagedObjectNotFound{Obj: reference})
	}
	if other := ctx.Map.FindByName(spec.ConfigSpec.Name, folder.ChildEntity); other != nil {
		return importFault(&types.DuplicateName{Name: spec.ConfigSpec.Name, Object: other.Reference()})
	}
	result, fault := finished(ctx, folder.CreateVMTask(ctx, &types.CreateVM_Task{
		This: folder.Self, Config: spec.ConfigSpec, Pool: p.Self, Host: req.Host,
	}))
	if fault != nil {
		return importFault(fault)
	}
	made := ctx.Map.Get(result.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	lease := p.lab.newLease(&machine{made, p.lab}, "import")
	lease.expect()
	lease.begin()
	return &methods.ImportVAppBody{Res: &types.ImportVAppResponse{Returnval: lease.Self}}
}

func importFault(fault types.BaseMethodFault) soap.HasFault {
	return &methods.ImportVAppBody{Fault_: simulator.Fault("import", fault)}
}

// expect lists where the files of an import go. The keys are those that CreateImportSpec gave.
func (e *Lease) expect() {
	devices := object.VirtualDeviceList(e.vm.Config.Hardware.Device)
	numbers := map[string]int{}
	for _, device := range devices {
		file := backingFile(device)
		if file == "" {
			continue
		}
		kind := devices.Type(device)
		key := fmt.Sprintf("%s:%d", kind, numbers[kind])
		numbers[kind]++
		e.expectFile(device, key, file)
	}
	if e.vm.Config.Firmware == string(types.GuestOsDescriptorFirmwareTypeEfi) {
		vmx := parsePlace(e.vm.Config.Files.VmPathName)
		vmx.Path = path.Join(path.Dir(vmx.Path), e.vm.Name+".nvram")
		e.offerFile("nvram", vmx.String(), 0, true)
	}
}

func (e *Lease) expectFile(device types.BaseVirtualDevice, key, file string) {
	virtual, isDisk := device.(*types.VirtualDisk)
	one := &transfer{
		name: fmt.Sprintf("disk-%d%s", len(e.transfers), path.Ext(file)), file: e.lab.local(file),
		datastore: parsePlace(file).Datastore, device: device.GetVirtualDevice().Key,
	}
	if isDisk {
		one.target = e.lab.disk(virtual)
		one.layer = one.target.live.layer
		one.capacity = one.target.capacity
	}
	one.url = e.deviceURL(key, one.name, isDisk)
	one.url.TargetId = one.name
	e.transfers = append(e.transfers, one)
}

// discard removes a machine whose import did not end well.
func (e *Lease) discard() {
	ctx := e.lab.context()
	if _, fault := finished(ctx, e.vm.DestroyTask(ctx, &types.Destroy_Task{This: e.vm.Self})); fault != nil {
		panic(fmt.Sprintf("the machine of a failed import stays: %T", fault))
	}
}

// blank gives a disk without content, for an upload that begins anew.
func (e *Lease) blank(one *transfer) *blocks.Layer {
	e.mu.Lock()
	defer e.mu.Unlock()
	one.layer = e.lab.store.Blank(one.capacity)
	return one.layer
}
