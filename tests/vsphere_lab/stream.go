package main

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"

	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/vim25/types"
)

// serveLease answers /nfc/TOKEN/FILE: chunked, without length and without ranges, as a host does.
func (l *Lab) serveLease(w http.ResponseWriter, r *http.Request) {
	token, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/nfc/"), "/")
	l.mu.Lock()
	lease := l.leases[token]
	l.mu.Unlock()
	number := -1
	if lease != nil && lease.isReady() {
		number = lease.find(name)
	}
	if number < 0 {
		http.NotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodGet:
		l.sendTransfer(w, r, lease, number)
	case http.MethodHead:
		w.WriteHeader(http.StatusOK)
	case http.MethodPost, http.MethodPut:
		l.receiveTransfer(w, r, lease, number)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (e *Lease) find(name string) int {
	for index, one := range e.transfers {
		if one.name == name {
			return index
		}
	}
	return -1
}

// sendTransfer streams a file of a lease, and keeps its digests when it went out whole.
func (l *Lab) sendTransfer(w http.ResponseWriter, r *http.Request, lease *Lease, number int) {
	one := lease.transfers[number]
	where := lease.spot(number, 0)
	if l.faults.unreachable(where.host) {
		panic(http.ErrAbortHandler)
	}
	if f := l.faults.take("http_error", where); f != nil {
		http.Error(w, "injected", f.status())
		return
	}
	defer l.streams.begin(where.host, one.datastore)()
	w.Header().Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	short, long := sha1.New(), hash.Hash(nil)
	if lease.checksum(one.url.Url) == "sha256" {
		long = sha256.New()
	}
	out := newChannel(l, w, r, where, lease)
	counted := &counter{out: out, short: short, long: long}
	buffered := bufio.NewWriterSize(counted, 1<<20)
	populated, err := lease.copyTo(buffered, one)
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client sees a cut stream, not its regular end
	}
	lease.sent(one, counted, populated)
}

func (e *Lease) checksum(address string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.checksums[address]
}

// copyTo writes the bytes of a transfer; for disks it gives back how many were no holes.
func (e *Lease) copyTo(out io.Writer, one *transfer) (int64, error) {
	if one.disk() {
		layer := e.hold(one)
		if layer == nil {
			return 0, errCut // the lease just ended
		}
		defer e.lab.store.Release(layer)
		return e.lab.packed.send(out, layer, one.name)
	}
	file, err := os.Open(one.file)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return 0, err
}

// hold keeps the content of a disk for one stream, which may outlast the lease for a moment.
func (e *Lease) hold(one *transfer) *blocks.Layer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if one.layer == nil {
		return nil
	}
	return e.lab.store.Hold(one.layer)
}

func (e *Lease) sent(one *transfer, counted *counter, populated int64) {
	entry := &types.HttpNfcLeaseManifestEntry{
		Key: one.url.Key, Sha1: hex.EncodeToString(counted.short.Sum(nil)), Size: counted.count,
		Disk: one.disk(), Capacity: one.capacity, PopulatedSize: populated,
		Checksum: hex.EncodeToString(counted.short.Sum(nil)), ChecksumType: "sha1",
	}
	if counted.long != nil {
		entry.Checksum, entry.ChecksumType = hex.EncodeToString(counted.long.Sum(nil)), "sha256"
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	one.entry = entry
}

// counter digests what passes, before any fault spoils it.
type counter struct {
	out   io.Writer
	short hash.Hash
	long  hash.Hash
	count int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.short.Write(p)
	if c.long != nil {
		c.long.Write(p)
	}
	c.count += int64(len(p))
	return c.out.Write(p)
}
