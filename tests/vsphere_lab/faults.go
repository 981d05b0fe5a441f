package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// kinds of faults that can be asked for.
var kinds = []string{
	"drop_stream", "stall_stream", "corrupt_stream", "http_error", "lease_error", "lease_expiry",
	"session_loss", "soap_fault", "slow_host", "wrong_page", "empty_page", "zero_page",
	"lying_areas", "vmotion", "host_unreachable", "truncated_manifest",
}

// fault is something that is to go wrong, a number of times, where its fields say.
type fault struct {
	ID      int     `json:"id"`
	Kind    string  `json:"kind"`
	VM      string  `json:"vm"`
	Disk    *int    `json:"disk"`
	Host    string  `json:"host"`
	At      int64   `json:"at"` // byte of a stream; bytes per second for slow_host
	Times   int     `json:"times"`
	Seconds float64 `json:"seconds"`
	Status  int     `json:"status"`
	Method  string  `json:"method"`
	Fault   string  `json:"fault"`
	// Privilege is what NoPermission says is missing.
	Privilege string `json:"privilege"`

	// located is set when the byte was given: the fault then waits for a stream to reach it.
	located bool
	cleared chan struct{}
}

func (f *fault) status() int {
	if f.Status == 0 {
		return http.StatusServiceUnavailable
	}
	return f.Status
}

// spot is where something happens.
type spot struct {
	vm   string
	disk int // -1 where no disk is meant
	host string
	at   int64
}

func (f *fault) hits(where spot) bool {
	// A migration names the host to go to, not the one to happen on.
	return (f.VM == "" || f.VM == where.vm) && (f.Disk == nil || *f.Disk == where.disk) &&
		(f.Host == "" || f.Host == where.host || f.Kind == "vmotion")
}

// faultList are the faults that are still to happen.
type faultList struct {
	mu     sync.Mutex
	count  int
	faults []*fault
}

func newFaultList() *faultList { return &faultList{} }

func (l *faultList) add(f *fault) error {
	if !slices.Contains(kinds, f.Kind) {
		return fmt.Errorf("no fault %q; there are %v", f.Kind, kinds)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	f.ID = l.count
	f.Times = max(f.Times, 1)
	f.cleared = make(chan struct{})
	l.faults = append(l.faults, f)
	return nil
}

func (l *faultList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.faults {
		close(f.cleared)
	}
	l.faults = nil
}

// take uses up one time of a fault that waits for no byte; nil when none hits.
func (l *faultList) take(kind string, where spot) *fault {
	return l.use(kind, func(f *fault) bool { return !f.located && f.hits(where) })
}

// takeAt uses up one time of a fault whose byte a stream has reached.
func (l *faultList) takeAt(kind string, where spot) *fault {
	return l.use(kind, func(f *fault) bool {
		return f.hits(where) && where.at > f.At && (f.located || kind != "lease_error" && kind != "session_loss")
	})
}

func (l *faultList) use(kind string, hit func(*fault) bool) *fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	for index, f := range l.faults {
		if f.Kind != kind || !hit(f) {
			continue
		}
		if f.Times--; f.Times <= 0 {
			l.faults = slices.Delete(slices.Clone(l.faults), index, index+1)
		}
		return f
	}
	return nil
}

// find is a fault that lasts until it is cleared; it is not used up.
func (l *faultList) find(kind string, where spot) *fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.faults {
		if f.Kind == kind && f.hits(where) {
			return f
		}
	}
	return nil
}

func (l *faultList) unreachable(host string) bool {
	return l.find("host_unreachable", spot{host: host, disk: -1}) != nil
}
