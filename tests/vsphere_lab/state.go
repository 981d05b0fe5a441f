package main

import (
	"maps"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// upload is a file that an import lease received.
type upload struct {
	VM     string `json:"vm"`
	File   string `json:"file"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type sessionState struct {
	User string  `json:"user"`
	Idle float64 `json:"idle"`
}

type leaseState struct {
	ID       string `json:"id"`
	VM       string `json:"vm"`
	State    string `json:"state"`
	Progress int32  `json:"progress"`
	Kind     string `json:"kind"`
}

type snapshotState struct {
	VM          string `json:"vm"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type machineState struct {
	Name  string `json:"name"`
	Host  string `json:"host"`
	Power string `json:"power"`
}

// state is what is going on, for tests that look for leftovers. Only leases that live are listed.
func (l *Lab) state(*http.Request) (any, error) {
	sessions := []sessionState{}
	for _, session := range l.sessions() {
		sessions = append(sessions, sessionState{
			User: session.UserName, Idle: time.Since(session.LastActiveTime).Seconds(),
		})
	}
	machines, snapshots := []machineState{}, []snapshotState{}
	ctx := l.context()
	for _, m := range l.machines() {
		ctx.WithLock(m.VirtualMachine, func() { // a task may be at it
			machines = append(machines, machineState{
				Name: m.Name, Host: l.hostName(m.VirtualMachine), Power: string(m.Runtime.PowerState),
			})
			if m.Snapshot != nil {
				snapshots = append(snapshots, snapshotStates(m.Name, m.Snapshot.RootSnapshotList)...)
			}
		})
	}
	sort.Slice(machines, func(a, b int) bool { return machines[a].Name < machines[b].Name })
	return map[string]any{
		"sessions": sessions, "machines": machines, "snapshots": snapshots, "leases": l.leaseStates(),
		"uploads": l.uploadStates(), "streams": l.streams.state(), "lease_counts": l.leaseCounts.state(),
		"calls": l.callCounts(),
	}, nil
}

func snapshotStates(vm string, trees []types.VirtualMachineSnapshotTree) []snapshotState {
	var found []snapshotState
	for _, tree := range trees {
		found = append(found, snapshotState{VM: vm, Name: tree.Name, Description: tree.Description})
		found = append(found, snapshotStates(vm, tree.ChildSnapshotList)...)
	}
	return found
}

func (l *Lab) leaseStates() []leaseState {
	l.mu.Lock()
	leases := slices.Collect(maps.Values(l.leases))
	l.mu.Unlock()
	found := []leaseState{}
	ctx := l.context()
	for _, lease := range leases {
		ctx.WithLock(lease, func() {
			found = append(found, leaseState{
				ID: lease.Self.Value, VM: lease.vm.Name, State: string(lease.State),
				Progress: lease.TransferProgress, Kind: lease.kind,
			})
		})
	}
	return found
}

func (l *Lab) uploadStates() []upload {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]upload{}, l.uploads...)
}

func (l *Lab) callCounts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	copied := map[string]int{}
	for name, count := range l.calls {
		copied[name] = count
	}
	return copied
}
