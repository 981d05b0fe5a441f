package main

import (
	"path"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (l *Lab) datacenter() *simulator.Datacenter {
	return l.registry().Any("Datacenter").(*simulator.Datacenter)
}

func (l *Lab) datastore(name string) *simulator.Datastore {
	for _, entity := range l.registry().All("Datastore") {
		if store := entity.(*simulator.Datastore); store.Name == name {
			return store
		}
	}
	return nil
}

// local is the real file behind "[LocalDS_0] web/web.vmdk".
func (l *Lab) local(datastorePath string) string {
	place := parsePlace(datastorePath)
	store := l.datastore(place.Datastore)
	if store == nil {
		return ""
	}
	return path.Join(store.Summary.Url, place.Path)
}

func parsePlace(datastorePath string) object.DatastorePath {
	var place object.DatastorePath
	place.FromString(datastorePath)
	return place
}

func (l *Lab) host(name string) *simulator.HostSystem {
	for _, entity := range l.registry().All("HostSystem") {
		if host := entity.(*simulator.HostSystem); host.Name == name {
			return host
		}
	}
	return nil
}

func (l *Lab) hostName(vm *simulator.VirtualMachine) string {
	reference := vm.Runtime.Host // asked by streams, which hold no lock
	if reference == nil {
		return ""
	}
	host, known := l.registry().Get(*reference).(*simulator.HostSystem)
	if !known {
		return ""
	}
	return host.Name
}

// machine finds a virtual machine by its name or its reference.
func (l *Lab) machine(name string) *machine {
	for _, entity := range l.registry().All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		if vm.Name == name || vm.Self.Value == name {
			return &machine{vm, l}
		}
	}
	return nil
}

func (l *Lab) machines() []*machine {
	var found []*machine
	for _, entity := range l.registry().All("VirtualMachine") {
		found = append(found, &machine{entity.(*simulator.VirtualMachine), l})
	}
	return found
}

// vmFolder is the folder "prod/web" below the datacenter's, made where it is missing.
func (l *Lab) vmFolder(ctx *simulator.Context, inventoryPath string) *simulator.Folder {
	folder := l.registry().Get(l.datacenter().VmFolder).(*simulator.Folder)
	if l.options.esx {
		return folder // an ESXi host has no others
	}
	for name := range strings.SplitSeq(inventoryPath, "/") {
		if name == "" {
			continue
		}
		next, found := l.registry().FindByName(name, folder.ChildEntity).(*simulator.Folder)
		if !found {
			answer := folder.CreateFolder(ctx, &types.CreateFolder{This: folder.Self, Name: name})
			made := answer.(*methods.CreateFolderBody).Res.Returnval
			next = l.registry().Get(made).(*simulator.Folder)
		}
		folder = next
	}
	return folder
}

// rootPool is the resource pool of the first cluster, or of the ESXi host.
func (l *Lab) rootPool() types.ManagedObjectReference {
	for _, kind := range []string{"ClusterComputeResource", "ComputeResource"} {
		switch resource := l.registry().Any(kind).(type) {
		case *simulator.ClusterComputeResource:
			return *resource.ResourcePool
		case *mo.ComputeResource:
			return *resource.ResourcePool
		}
	}
	return types.ManagedObjectReference{}
}
