package main

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"hypersdk/vspherelab/blocks"
)

// tracker is the change tracking of one disk: which blocks were written between its bookmarks.
//
// A bookmark (vSphere's changeId) is "52 f3 … /n": the tracker's own name, and how many periods
// were over. Each snapshot ends a period. A reset gives a new name, so old bookmarks are void.
type tracker struct {
	mu       sync.Mutex
	on       bool
	name     string
	capacity int64
	over     []blocks.Bitmap // blocks written in each period that is over; nil for none
	current  blocks.Bitmap
}

func newTracker(capacity int64) tracker {
	return tracker{name: trackerName(), capacity: capacity}
}

func trackerName() string {
	var octets [16]byte
	_, _ = rand.Read(octets[:])
	parts := make([]string, len(octets))
	for index, octet := range octets {
		parts[index] = fmt.Sprintf("%02x", octet)
	}
	parts[0] = "52"
	return strings.Join(parts[:8], " ") + "-" + strings.Join(parts[8:], " ")
}

// start begins tracking, if it is off.
func (t *tracker) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on {
		t.on, t.name, t.over, t.current = true, trackerName(), nil, nil
	}
}

func (t *tracker) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on, t.over, t.current = false, nil, nil
}

// reset makes all bookmarks void, as after a revert or a power failure of the host.
func (t *tracker) reset(capacity int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name, t.capacity, t.over, t.current = trackerName(), capacity, nil, nil
}

// wrote notes a write.
func (t *tracker) wrote(offset, length int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on || length <= 0 {
		return
	}
	if t.current == nil {
		t.current = blocks.NewBitmap(t.capacity)
	}
	for block := offset / blocks.Size; block*blocks.Size < offset+length; block++ {
		t.current.Set(block)
	}
}

// end ends a period, and gives the bookmark of this moment; "" when tracking is off.
func (t *tracker) end() string {
	t.mu.Lock()
	if t.on {
		t.over = append(t.over, t.current)
		t.current = nil
	}
	t.mu.Unlock()
	return t.bookmark()
}

func (t *tracker) bookmark() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on {
		return ""
	}
	return fmt.Sprintf("%s/%d", t.name, len(t.over))
}

// changed marks the blocks written after one bookmark and before another (all, when that is "").
// The second result is false when a bookmark is void or of another disk.
func (t *tracker) changed(since, until string) (blocks.Bitmap, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, known := t.period(since)
	if !known {
		return nil, false
	}
	last := len(t.over)
	all := blocks.NewBitmap(t.capacity)
	if until != "" {
		if last, known = t.period(until); !known {
			return nil, false
		}
	} else {
		all.Merge(t.current)
	}
	for period := first; period < last; period++ {
		all.Merge(t.over[period])
	}
	return all, true
}

func (t *tracker) period(bookmark string) (int, bool) {
	name, number, found := strings.Cut(bookmark, "/")
	if !found || name != t.name || !t.on {
		return 0, false
	}
	period, err := strconv.Atoi(number)
	return period, err == nil && period >= 0 && period <= len(t.over)
}
