package main

import (
	"maps"
	"sync"
)

// openCounts are how many streams, or leases, are open, and the most there were at a time.
type openCounts struct {
	mu         sync.Mutex
	open, most int
	hosts      peaks
	datastores peaks
}

// peaks counts by name.
type peaks struct{ now, most map[string]int }

func newPeaks() peaks { return peaks{map[string]int{}, map[string]int{}} }

func (p peaks) add(name string) {
	p.now[name]++
	p.most[name] = max(p.most[name], p.now[name])
}

func newOpenCounts() *openCounts { return &openCounts{hosts: newPeaks(), datastores: newPeaks()} }

// begin counts one, each datastore once; the function given back ends it.
func (c *openCounts) begin(host string, datastores ...string) func() {
	used := map[string]bool{}
	for _, one := range datastores {
		used[one] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.most = max(c.most, c.open)
	c.hosts.add(host)
	for one := range used {
		c.datastores.add(one)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open--
		c.hosts.now[host]--
		for one := range used {
			c.datastores.now[one]--
		}
	}
}

type openState struct {
	Open    int            `json:"open"`
	Most    int            `json:"most"`
	Host    map[string]int `json:"most_per_host"`
	Storage map[string]int `json:"most_per_datastore"`
}

func (c *openCounts) state() openState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return openState{c.open, c.most, maps.Clone(c.hosts.most), maps.Clone(c.datastores.most)}
}
