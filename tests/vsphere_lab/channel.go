package main

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// errCut ends a stream that a fault cut.
var errCut = errors.New("stream cut by a fault")

// channel is the way of one stream to its client: held back to the rate, hit by faults.
type channel struct {
	lab   *Lab
	out   http.ResponseWriter
	gone  <-chan struct{}
	where spot
	lease *Lease // nil for reads from a datastore
	began time.Time
	base  int64 // of the first byte in the file: faults name bytes of the file
	sent  int64
}

func newChannel(lab *Lab, out http.ResponseWriter, r *http.Request, where spot, lease *Lease) *channel {
	return &channel{lab: lab, out: out, gone: r.Context().Done(), where: where, lease: lease, began: time.Now()}
}

// slice is the most that goes out between two looks at faults and the rate.
const slice = 256 << 10

func (c *channel) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		part := p[done:min(done+slice, len(p))]
		count, err := c.put(part)
		done += count
		if err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// put sends one slice, after the faults whose place it reaches.
func (c *channel) put(part []byte) (int, error) {
	if c.ended() {
		return 0, errCut
	}
	here := c.where
	here.at = c.base + c.sent + int64(len(part))
	for _, kind := range []string{"stall_stream", "session_loss", "lease_error"} {
		if f := c.lab.faults.takeAt(kind, here); f != nil {
			c.suffer(f)
		}
	}
	if f := c.lab.faults.takeAt("corrupt_stream", here); f != nil {
		part = append([]byte(nil), part...)
		part[min(max(f.At-c.base-c.sent, 0), int64(len(part)-1))] ^= 0xff
	}
	for _, kind := range []string{"drop_stream", "vmotion"} {
		if f := c.lab.faults.takeAt(kind, here); f != nil {
			count, _ := c.out.Write(part[:min(max(f.At-c.base-c.sent, 0), int64(len(part)))])
			_ = http.NewResponseController(c.out).Flush()
			c.suffer(f)
			return count, errCut
		}
	}
	count, err := c.out.Write(part)
	c.sent += int64(count)
	c.hold()
	return count, err
}

func (c *channel) ended() bool {
	if c.lab.faults.unreachable(c.where.host) {
		return true
	}
	if c.lease == nil {
		return false
	}
	select {
	case <-c.lease.ended:
		return true
	default:
		return false
	}
}

// suffer does what a fault of this stream does besides to the stream.
func (c *channel) suffer(f *fault) {
	switch f.Kind {
	case "stall_stream":
		c.stall(f)
	case "session_loss":
		c.lab.endSessions()
	case "lease_error":
		if c.lease != nil {
			c.lease.failHost()
		}
	case "vmotion":
		c.lab.migrate(c.where.vm, f.Host)
		if c.lease != nil {
			c.lease.failHost()
		}
	}
}

// stall sends nothing until the fault's time is over, it is cleared, or nobody waits any more.
func (c *channel) stall(f *fault) {
	_ = http.NewResponseController(c.out).Flush()
	limit := time.After(24 * time.Hour)
	if f.Seconds > 0 {
		limit = time.After(seconds(f.Seconds))
	}
	var ended <-chan struct{}
	if c.lease != nil {
		ended = c.lease.ended
	}
	select {
	case <-limit:
	case <-f.cleared:
	case <-c.gone:
	case <-ended:
	}
}

// hold waits until what was sent fits the rate.
func (c *channel) hold() {
	rate := c.lab.rate.get()
	if f := c.lab.faults.find("slow_host", c.where); f != nil {
		rate = f.At
	}
	if rate <= 0 {
		return
	}
	due := time.Duration(float64(c.sent) / float64(rate) * float64(time.Second))
	if wait := due - time.Since(c.began); wait > 0 {
		select {
		case <-time.After(wait):
		case <-c.gone:
		}
	}
}

// rate is the most bytes per second of each stream; 0 for no limit.
type rate struct {
	mu    sync.Mutex
	bytes int64
}

func (r *rate) get() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}

func (r *rate) set(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes = bytes
}
