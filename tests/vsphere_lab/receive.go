package main

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"hypersdk/vspherelab/sparse"
)

// receiveTransfer takes a file of an import: disks are unpacked, other files kept as they come.
func (l *Lab) receiveTransfer(w http.ResponseWriter, r *http.Request, lease *Lease, number int) {
	one := lease.transfers[number]
	where := lease.spot(number, 0)
	if lease.kind != "import" {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if l.faults.unreachable(where.host) {
		panic(http.ErrAbortHandler)
	}
	if f := l.faults.take("http_error", where); f != nil {
		http.Error(w, "injected", f.status())
		return
	}
	defer l.streams.begin(where.host, one.datastore)()
	// What comes in passes the same channel that others go out by, so the same faults hit it.
	inlet := &inlet{body: r.Body, way: newChannel(l, discarding{w}, r, where, lease)}
	short, long := sha1.New(), sha256.New()
	counted := &counter{out: io.Discard, short: short, long: long}
	stream := bufio.NewReaderSize(io.TeeReader(inlet, counted), 1<<20)
	err := lease.keep(stream, one)
	if errors.Is(err, errCut) {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	lease.sent(one, counted, one.populated())
	l.mu.Lock()
	l.uploads = append(l.uploads, upload{
		VM: lease.vm.Name, File: one.name, Size: counted.count, SHA256: hex.EncodeToString(long.Sum(nil)),
	})
	l.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

// keep stores what a stream brings, up to its end.
func (e *Lease) keep(stream *bufio.Reader, one *transfer) error {
	if !one.disk() {
		file, err := os.Create(one.file)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(file, stream)
		return err
	}
	capacity, err := sparse.Capacity(stream)
	if err != nil {
		return err
	}
	if capacity > one.capacity {
		return fmt.Errorf("a stream of %d bytes does not fit the disk of %d", capacity, one.capacity)
	}
	layer := e.blank(one)
	if _, err := sparse.Read(stream, layer); err != nil {
		return errors.Join(err, e.lab.store.Release(layer))
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return errors.Join(err, e.lab.store.Release(layer))
	}
	old := one.target.live.layer
	one.target.live.layer = layer
	return e.lab.store.Release(old)
}

func (t *transfer) populated() int64 {
	if t.layer == nil {
		return 0
	}
	return t.layer.Allocated().Count() << 16
}

// inlet reads a request's body through a channel with its faults.
type inlet struct {
	body io.Reader
	way  *channel
}

func (i *inlet) Read(p []byte) (int, error) {
	count, err := i.body.Read(p[:min(len(p), slice)])
	if count == 0 {
		return count, err
	}
	if _, cut := i.way.put(p[:count]); cut != nil {
		return 0, errCut
	}
	return count, err
}

// discarding is a response that nothing is written into.
type discarding struct{ http.ResponseWriter }

func (discarding) Write(p []byte) (int, error) { return len(p), nil }
func (discarding) Flush()                      {}
