package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"hypersdk/vspherelab/blocks"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// diskRequest is a disk of a machine to make: a file's content, or blank.
type diskRequest struct {
	Source string `json:"source"`
	Size   int64  `json:"size"`
	Thin   *bool  `json:"thin"`
	Mode   string `json:"mode"`
	Shared bool   `json:"shared"`
	RDM    string `json:"rdm"`
}

// machineRequest is a machine to make.
type machineRequest struct {
	Name      string        `json:"name"`
	Folder    string        `json:"folder"`
	Host      string        `json:"host"`
	Datastore string        `json:"datastore"`
	VCPUs     int32         `json:"vcpus"`
	MemoryMB  int64         `json:"memory_mb"`
	Firmware  string        `json:"firmware"`
	Running   bool          `json:"running"`
	GuestOS   string        `json:"guest_os"`
	Tools     *bool         `json:"tools"`
	Deaf      bool          `json:"deaf"`
	CBT       bool          `json:"cbt"`
	Template  bool          `json:"template"`
	Disks     []diskRequest `json:"disks"`
	NICs      []struct {
		Network string `json:"network"`
	} `json:"nics"`
	Devices    []string          `json:"devices"`
	Extra      map[string]string `json:"extra"`
	Annotation string            `json:"annotation"`
	Snapshots  int               `json:"snapshots"`
}

type diskAnswer struct {
	Key  int32  `json:"key"`
	UUID string `json:"uuid"`
	Path string `json:"path"`
}

type machineAnswer struct {
	VM    string       `json:"vm"`
	UUID  string       `json:"uuid"`
	Disks []diskAnswer `json:"disks"`
}

func (l *Lab) createMachine(r *http.Request) (any, error) {
	request := machineRequest{
		Datastore: "LocalDS_0", VCPUs: 1, MemoryMB: 256, Firmware: "bios", GuestOS: "ubuntu64Guest",
	}
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	if request.Name == "" || l.datastore(request.Datastore) == nil {
		return nil, fmt.Errorf("a machine needs a name, and a datastore that is there")
	}
	layers, err := l.load(request.Disks)
	if err != nil {
		return nil, err
	}
	m, err := l.place(request, layers)
	if err != nil {
		return nil, err
	}
	if err := m.prepare(request, layers); err != nil {
		return nil, err
	}
	return m.described(), nil
}

// load makes the contents of the disks.
func (l *Lab) load(requests []diskRequest) ([]*blocks.Layer, error) {
	var layers []*blocks.Layer
	for _, request := range requests {
		if request.Source == "" {
			layers = append(layers, l.store.Blank(request.Size))
			continue
		}
		source, err := l.raw(request.Source)
		if err != nil {
			return nil, err
		}
		layer, err := l.store.Open(source)
		if err != nil {
			return nil, err
		}
		if request.Size > layer.Capacity {
			layer = l.store.Over(layer, request.Size)
		}
		layers = append(layers, layer)
	}
	return layers, nil
}

// raw converts a qcow2 source once; other files are raw already.
func (l *Lab) raw(source string) (string, error) {
	if !strings.HasSuffix(source, ".qcow2") {
		return source, nil
	}
	target := filepath.Join(l.home, uuid.NewString()+".raw")
	said, err := exec.Command("qemu-img", "convert", "-O", "raw", source, target).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("qemu-img convert %s: %w: %s", source, err, said)
	}
	return target, nil
}

// place makes the machine in the inventory.
func (l *Lab) place(request machineRequest, layers []*blocks.Layer) (*machine, error) {
	ctx := l.context()
	folder := l.vmFolder(ctx, request.Folder)
	spec, err := l.specify(request, layers)
	if err != nil {
		return nil, err
	}
	create := &types.CreateVM_Task{This: folder.Self, Config: spec, Pool: l.rootPool()}
	if request.Host != "" {
		host := l.host(request.Host)
		if host == nil {
			return nil, fmt.Errorf("host %q: %w", request.Host, errUnknown)
		}
		create.Host = &host.Self
	}
	result, fault := finished(ctx, folder.CreateVMTask(ctx, create))
	if fault != nil {
		return nil, fmt.Errorf("create %s: %T %+v", request.Name, fault, fault)
	}
	reference := result.(types.ManagedObjectReference)
	return &machine{l.registry().Get(reference).(*simulator.VirtualMachine), l}, nil
}

// prepare gives a new machine its contents, power state and snapshots.
func (m *machine) prepare(request machineRequest, layers []*blocks.Layer) error {
	ctx := m.lab.context()
	var fault types.BaseMethodFault
	ctx.WithLock(m.VirtualMachine, func() {
		for index, device := range m.virtualDisks() {
			thin := request.Disks[index].Thin == nil || *request.Disks[index].Thin
			m.lab.addDisk(backingFile(device), layers[index], thin)
		}
		m.settle(ctx)
		if request.Running {
			fault = m.powerTo(ctx, types.VirtualMachinePowerStatePoweredOn)
		}
	})
	if fault != nil {
		return fmt.Errorf("power on: %T", fault)
	}
	if request.Firmware == "efi" {
		if err := m.writeVariables(); err != nil {
			return err
		}
	}
	for number := range request.Snapshots {
		name := fmt.Sprintf("snapshot-%d", number+1)
		take := &types.CreateSnapshot_Task{This: m.Self, Name: name}
		if _, fault := finished(ctx, m.CreateSnapshotTask(ctx, take)); fault != nil {
			return fmt.Errorf("snapshot: %T", fault)
		}
	}
	if request.Template {
		m.MarkAsTemplate(&types.MarkAsTemplate{This: m.Self})
	}
	return nil
}

// writeVariables puts something into the file of the UEFI variables, which an export lists.
func (m *machine) writeVariables() error {
	vmx := m.lab.local(m.Config.Files.VmPathName)
	content := strings.Repeat("MRVN"+m.Name, 8<<10/len("MRVN"+m.Name))
	return os.WriteFile(filepath.Join(filepath.Dir(vmx), m.Name+".nvram"), []byte(content), 0o600)
}

func (m *machine) described() machineAnswer {
	answer := machineAnswer{VM: m.Self.Value, UUID: m.Config.InstanceUuid, Disks: []diskAnswer{}}
	for _, device := range m.virtualDisks() {
		one := diskAnswer{Key: device.Key, Path: backingFile(device)}
		if backing, flat := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo); flat {
			one.UUID = backing.Uuid
		}
		answer.Disks = append(answer.Disks, one)
	}
	return answer
}

func (l *Lab) deleteMachine(r *http.Request) (any, error) {
	m, err := l.named(r)
	if err != nil {
		return nil, err
	}
	ctx := l.context()
	if m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		if _, fault := finished(ctx, m.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: m.Self})); fault != nil {
			return nil, fmt.Errorf("power off: %T", fault)
		}
	}
	if _, fault := finished(ctx, m.DestroyTask(ctx, &types.Destroy_Task{This: m.Self})); fault != nil {
		return nil, fmt.Errorf("destroy: %T", fault)
	}
	return map[string]any{}, nil
}
