package main

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// afterlife is how long a finished lease can still be asked for its state.
const afterlife = time.Minute

// Lease is an HttpNfcLease whose states, timeout and end are enforced.
type Lease struct {
	mo.HttpNfcLease
	lab  *Lab
	kind string // "export" or "import"
	vm   *machine
	// snapshot is set for an export of one; the machine itself then stays usable.
	snapshot *types.ManagedObjectReference
	token    string

	mu        sync.Mutex
	transfers []*transfer
	checksums map[string]string // "sha1" or "sha256" by URL
	expiry    *time.Timer
	counted   func()        // ends its being counted
	ended     chan struct{} // closed when the lease is no longer ready
	alive     bool
}

func (l *Lab) newLease(vm *machine, kind string) *Lease {
	var octets [16]byte
	_, _ = rand.Read(octets[:])
	lease := &Lease{
		lab: l, kind: kind, vm: vm, token: fmt.Sprintf("52%x", octets), alive: true,
		checksums: map[string]string{}, ended: make(chan struct{}),
	}
	lease.Self = types.ManagedObjectReference{Type: "HttpNfcLease", Value: "session[lab]" + lease.token}
	lease.State = types.HttpNfcLeaseStateInitializing
	lease.Mode = string(types.HttpNfcLeaseModePushOrGet)
	l.registry().Put(lease)
	l.mu.Lock()
	l.leases[lease.token] = lease
	l.mu.Unlock()
	return lease
}

// begin makes the lease ready after a moment, or fails it when a fault was asked for.
func (e *Lease) begin() {
	var datastores []string
	for _, one := range e.transfers {
		datastores = append(datastores, one.datastore)
	}
	e.counted = e.lab.leaseCounts.begin(e.lab.hostName(e.vm.VirtualMachine), datastores...)
	time.AfterFunc(e.lab.options.readyAfter, func() {
		if f := e.lab.faults.take("lease_error", e.spot(-1, 0)); f != nil {
			e.fail(&types.HostCommunication{}, "the host did not answer")
			return
		}
		if host := e.lab.hostName(e.vm.VirtualMachine); e.lab.faults.unreachable(host) {
			e.fail(&types.HostNotConnected{}, "host "+host+" is not connected")
			return
		}
		e.ready()
	})
}

func (e *Lease) ready() {
	timeout := e.lab.options.leaseTimeout
	if f := e.lab.faults.take("lease_expiry", e.spot(-1, 0)); f != nil {
		e.expireIn(seconds(f.Seconds))
	}
	info := &types.HttpNfcLeaseInfo{
		Lease: e.Self, Entity: e.vm.Self, LeaseTimeout: int32(max(timeout/time.Second, 1)),
	}
	for _, one := range e.transfers {
		info.DeviceUrl = append(info.DeviceUrl, one.url)
		info.TotalDiskCapacityInKB += one.capacity / 1024
	}
	e.change([]types.PropertyChange{
		{Name: "info", Val: info}, {Name: "initializeProgress", Val: int32(100)},
		{Name: "state", Val: types.HttpNfcLeaseStateReady},
	})
	e.renew()
}

// renew starts the time of silence anew.
func (e *Lease) renew() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.alive {
		return
	}
	if e.expiry != nil {
		e.expiry.Stop()
	}
	e.expiry = time.AfterFunc(e.lab.options.leaseTimeout, e.expire)
}

// expireIn ends the lease whatever its client does.
func (e *Lease) expireIn(delay time.Duration) { time.AfterFunc(delay, e.expire) }

func (e *Lease) expire() { e.fail(&types.Timedout{}, "the lease timed out") }

// fail ends the lease in the state error; streams are cut.
func (e *Lease) fail(fault types.BaseMethodFault, message string) {
	if !e.end() {
		return
	}
	e.change([]types.PropertyChange{
		{Name: "error", Val: types.LocalizedMethodFault{Fault: fault, LocalizedMessage: message}},
		{Name: "state", Val: types.HttpNfcLeaseStateError},
	})
	if e.kind == "import" {
		e.discard()
	}
}

// end lets go of what the lease held; false when somebody else already did.
func (e *Lease) end() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.alive {
		return false
	}
	e.alive = false
	if e.expiry != nil {
		e.expiry.Stop()
	}
	close(e.ended)
	e.counted()
	for _, one := range e.transfers {
		one.release(e.lab)
	}
	time.AfterFunc(afterlife, func() { e.lab.registry().Remove(e.lab.context(), e.Self) })
	e.lab.mu.Lock()
	delete(e.lab.leases, e.token)
	e.lab.mu.Unlock()
	return true
}

func (e *Lease) change(changes []types.PropertyChange) {
	ctx := e.lab.context()
	ctx.WithLock(e, func() { ctx.Update(e, changes) })
}

// isReady is for who does not answer a call of the lease, and so does not hold its lock.
func (e *Lease) isReady() (ready bool) {
	e.lab.context().WithLock(e, func() { ready = e.State == types.HttpNfcLeaseStateReady })
	return ready
}

// usable is a fault when the lease is not ready.
func (e *Lease) usable() *soap.Fault {
	switch e.State {
	case types.HttpNfcLeaseStateReady:
		return nil
	case types.HttpNfcLeaseStateError:
		if e.Error != nil {
			if _, timed := e.Error.Fault.(*types.Timedout); timed {
				return simulator.Fault("the lease timed out", &types.Timedout{})
			}
		}
	}
	return simulator.Fault("the lease is "+string(e.State), &types.InvalidState{})
}

// HttpNfcLeaseProgress renews the lease.
func (e *Lease) HttpNfcLeaseProgress(ctx *simulator.Context, req *types.HttpNfcLeaseProgress) soap.HasFault {
	if fault := e.usable(); fault != nil {
		return &methods.HttpNfcLeaseProgressBody{Fault_: fault}
	}
	if req.Percent < 0 || req.Percent > 100 {
		return &methods.HttpNfcLeaseProgressBody{
			Fault_: simulator.Fault("percent", &types.InvalidArgument{InvalidProperty: "percent"}),
		}
	}
	e.renew()
	ctx.Update(e, []types.PropertyChange{{Name: "transferProgress", Val: req.Percent}})
	return &methods.HttpNfcLeaseProgressBody{Res: &types.HttpNfcLeaseProgressResponse{}}
}

// HttpNfcLeaseComplete ends the lease well.
func (e *Lease) HttpNfcLeaseComplete(ctx *simulator.Context, _ *types.HttpNfcLeaseComplete) soap.HasFault {
	if fault := e.usable(); fault != nil {
		return &methods.HttpNfcLeaseCompleteBody{Fault_: fault}
	}
	if e.end() {
		ctx.Update(e, []types.PropertyChange{{Name: "state", Val: types.HttpNfcLeaseStateDone}})
	}
	return &methods.HttpNfcLeaseCompleteBody{Res: &types.HttpNfcLeaseCompleteResponse{}}
}

// HttpNfcLeaseAbort ends the lease with the client's reason; a machine half imported goes.
func (e *Lease) HttpNfcLeaseAbort(ctx *simulator.Context, req *types.HttpNfcLeaseAbort) soap.HasFault {
	if e.State != types.HttpNfcLeaseStateReady && e.State != types.HttpNfcLeaseStateInitializing {
		return &methods.HttpNfcLeaseAbortBody{Fault_: e.usable()}
	}
	var reason types.BaseMethodFault = &types.RequestCanceled{}
	message := "the client aborted the lease"
	if req.Fault != nil && req.Fault.Fault != nil {
		reason, message = req.Fault.Fault, req.Fault.LocalizedMessage
	}
	go e.fail(reason, message) // it takes the lock that this call holds
	<-e.ended
	return &methods.HttpNfcLeaseAbortBody{Res: &types.HttpNfcLeaseAbortResponse{}}
}

// HttpNfcLeaseSetManifestChecksumType chooses the digests of the manifest, by URL.
func (e *Lease) HttpNfcLeaseSetManifestChecksumType(_ *simulator.Context, req *types.HttpNfcLeaseSetManifestChecksumType) soap.HasFault {
	if fault := e.usable(); fault != nil {
		return &methods.HttpNfcLeaseSetManifestChecksumTypeBody{Fault_: fault}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, pair := range req.DeviceUrlsToChecksumTypes {
		if pair.Value != "sha1" && pair.Value != "sha256" {
			return &methods.HttpNfcLeaseSetManifestChecksumTypeBody{
				Fault_: simulator.Fault(pair.Value, &types.InvalidArgument{InvalidProperty: "deviceUrlsToChecksumTypes"}),
			}
		}
		e.checksums[pair.Key] = pair.Value
	}
	return &methods.HttpNfcLeaseSetManifestChecksumTypeBody{
		Res: &types.HttpNfcLeaseSetManifestChecksumTypeResponse{},
	}
}

// HttpNfcLeaseGetManifest tells the digests of all files that were sent or received whole.
func (e *Lease) HttpNfcLeaseGetManifest(_ *simulator.Context, _ *types.HttpNfcLeaseGetManifest) soap.HasFault {
	if fault := e.usable(); fault != nil {
		return &methods.HttpNfcLeaseGetManifestBody{Fault_: fault}
	}
	e.renew()
	body := &methods.HttpNfcLeaseGetManifestBody{Res: &types.HttpNfcLeaseGetManifestResponse{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	for index, one := range e.transfers {
		if one.entry == nil {
			continue
		}
		entry := *one.entry
		if e.lab.faults.take("truncated_manifest", e.spot(index, 0)) != nil {
			entry.Sha1 = wrongDigest(entry.Sha1)
			entry.Checksum = wrongDigest(entry.Checksum)
		}
		body.Res.Returnval = append(body.Res.Returnval, entry)
	}
	return body
}

func wrongDigest(digest string) string {
	if digest == "" {
		return ""
	}
	first := "0"
	if digest[0] == '0' {
		first = "1"
	}
	return first + digest[1:]
}

// spot is where in the lab something of this lease happens, for faults to match.
func (e *Lease) spot(disk int, at int64) spot {
	return spot{vm: e.vm.Name, disk: disk, host: e.lab.hostName(e.vm.VirtualMachine), at: at}
}
