package main

import (
	"fmt"
	"net/url"
	"sync"

	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // tags and categories: /api and /rest
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// apiVersion is what vSphere 8.0 U2 answers; clients refuse newer methods of older servers.
const apiVersion = "8.0.2.0"

// Lab is the simulator's service with all that it lacks around it.
type Lab struct {
	options options
	home    string
	model   *simulator.Model
	store   *blocks.Store
	faults  *faultList
	streams *openCounts
	rate    *rate
	packed  *packedCache
	server  endpoint

	leaseCounts *openCounts

	mu        sync.Mutex
	calls     map[string]int
	disks     map[string]*disk // by the datastore path of the live link
	snapshots map[types.ManagedObjectReference]snapshotLinks
	leases    map[string]*Lease
	uploads   []upload
}

// snapshotLinks are the frozen links of a snapshot by device key.
type snapshotLinks map[int32]*link

func newLab(o options, home string) (*Lab, error) {
	lab := &Lab{
		options: o, home: home, store: blocks.NewStore(home),
		faults: newFaultList(), streams: newOpenCounts(), rate: &rate{},
		leaseCounts: newOpenCounts(),
		packed:      &packedCache{folder: home},
		calls:       map[string]int{}, disks: map[string]*disk{},
		snapshots: map[types.ManagedObjectReference]snapshotLinks{},
		leases:    map[string]*Lease{}, uploads: []upload{},
	}
	lab.model = inventory(o)
	if err := lab.model.Create(); err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	lab.complete()
	if err := lab.populate(o.vms); err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	service := lab.model.Service
	service.RegisterEndpoints = true
	service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(o.user, o.password)}
	lab.registry().Handler = lab.dispatch
	return lab, nil
}

// complete sees to all machines, those of the model and those to come.
func (l *Lab) complete() {
	listener := newCompletion()
	for _, m := range l.machines() {
		listener.PutObject(nil, m.VirtualMachine)
	}
	l.registry().AddHandler(listener)
}

// inventory is the model of the simulator that the flags describe.
func inventory(o options) *simulator.Model {
	model := simulator.VPX()
	if o.esx {
		model = simulator.ESX()
	} else {
		model.Host = 0
		model.ClusterHost = o.hosts
	}
	model.Datastore = 2
	model.Machine = 0 // populate is quicker
	model.ServiceContent.About.ApiVersion = apiVersion
	model.ServiceContent.About.Version = "8.0.2"
	model.ServiceContent.About.Build = "22385739"
	// Whoever reads a report shall know that it was no vCenter.
	model.ServiceContent.About.Name += " (simulator)"
	model.ServiceContent.About.FullName = model.ServiceContent.About.Name + " 8.0.2 build-22385739"
	return model
}

func (l *Lab) registry() *simulator.Registry { return l.model.Service.Context.Map }

// context is a fresh context of the service: locks of the simulator belong to contexts.
func (l *Lab) context() *simulator.Context {
	fresh := *l.model.Service.Context
	return &fresh
}

// openMethods are answered without a session.
var openMethods = map[string]bool{
	"Login": true, "LoginByToken": true, "LoginExtensionByCertificate": true, "CloneSession": true,
	"RetrieveServiceContent": true, "RetrieveInternalContent": true, "CurrentTime": true,
}

// dispatch is called before each SOAP method: it counts, refuses, fails on demand, and puts our
// object in the place of the simulator's.
//
// The simulator looks a receiver up in the session of the call, so that is where ours goes: into a
// registry that lives as long as this call. The registry of the service keeps the simulator's
// objects, whose types its own code relies on. Only a collector of properties stays: it belongs to
// the session.
func (l *Lab) dispatch(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session != nil && ctx.Session.UserName == "" {
		return nil, nil // the simulator's own client
	}
	l.mu.Lock()
	l.calls[method.Name]++
	l.mu.Unlock()
	if ctx.Session == nil && !openMethods[method.Name] {
		return nil, notAuthenticated(method.This)
	}
	if fault := l.faultFor(method); fault != nil {
		return nil, fault
	}
	if fault := l.locked(method); fault != nil {
		return nil, fault
	}
	if ctx.Session != nil && method.This.Type == "PropertyCollector" {
		l.collecting(ctx.Session, method.This)
		return nil, nil
	}
	ours := l.wrap(method.This)
	if ours != nil && ctx.Session != nil {
		ctx.Session.Registry = simulator.NewRegistry()
		ctx.Session.Registry.Put(ours)
	}
	return ours, nil
}

// wrap is our object around the simulator's, or nil where the simulator's does.
func (l *Lab) wrap(reference types.ManagedObjectReference) mo.Reference {
	switch object := l.registry().Get(reference).(type) {
	case *simulator.VirtualMachine:
		return &machine{object, l}
	case *simulator.Folder:
		return &machineFolder{object, l}
	case *simulator.VirtualMachineSnapshot:
		return &snapshot{object, l}
	case *simulator.OvfManager:
		return &ovfManager{object, l}
	case *simulator.ResourcePool:
		return &pool{object, l}
	default:
		return nil
	}
}

func notAuthenticated(object types.ManagedObjectReference) types.BaseMethodFault {
	return &types.NotAuthenticated{
		NoPermission: types.NoPermission{Object: &object, PrivilegeId: "System.View"},
	}
}
