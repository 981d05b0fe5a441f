package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/vim25/types"
)

// serveFolder answers /folder/PATH?dcPath=…&dsName=…: the files of a datastore, with ranges, and
// NAME-flat.vmdk from the content of disks.
func (l *Lab) serveFolder(w http.ResponseWriter, r *http.Request) {
	if !l.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
		http.Error(w, "authentication is needed", http.StatusUnauthorized)
		return
	}
	name := r.URL.Query().Get("dsName")
	file := fmt.Sprintf("[%s] %s", name, strings.TrimPrefix(r.URL.Path, "/folder/"))
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if stem, flat := strings.CutSuffix(file, "-flat.vmdk"); flat && reading {
		if layer, owner := l.baseOf(stem + ".vmdk"); layer != nil {
			l.serveFlat(w, r, layer, owner, name)
			return
		}
	}
	l.model.Service.ServeDatastore(w, r)
}

// baseOf is the content of the base file of a disk, and a machine that has the disk.
func (l *Lab) baseOf(descriptor string) (*blocks.Layer, *machine) {
	ctx := l.context()
	for _, m := range l.machines() {
		var devices []*types.VirtualDisk
		ctx.WithLock(m.VirtualMachine, func() { devices = m.virtualDisks() }) // a task may be at it
		for _, device := range devices {
			for current := l.disk(device).live; current != nil; current = current.parent {
				if current.file == descriptor {
					return current.layer, m
				}
			}
		}
	}
	return nil, nil
}

// serveFlat sends a disk's base file. A host that runs the machine has it locked.
func (l *Lab) serveFlat(w http.ResponseWriter, r *http.Request, layer *blocks.Layer, owner *machine, datastore string) {
	where := spot{vm: owner.Name, disk: owner.number(layer), host: l.hostName(owner.VirtualMachine)}
	if l.faults.unreachable(where.host) {
		panic(http.ErrAbortHandler)
	}
	if owner.running() && !l.options.readRunning {
		http.Error(w, "the file is locked by a running machine", http.StatusForbidden)
		return
	}
	start, length, status := byteRange(r.Header.Get("Range"), layer.Capacity)
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", layer.Capacity))
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	if status == http.StatusPartialContent {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, start+length-1, layer.Capacity))
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	if f := l.faults.take("http_error", where); f != nil {
		w.Header().Del("Content-Length")
		http.Error(w, "injected", f.status())
		return
	}
	defer l.streams.begin(where.host, datastore)()
	w.WriteHeader(status)
	held := l.store.Hold(layer)
	defer l.store.Release(held)
	section := io.NewSectionReader(held, start, length)
	out := newChannel(l, w, r, where, nil)
	out.base = start
	if _, err := io.CopyBuffer(out, section, make([]byte, 1<<20)); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// number of the disk, among the machine's, whose chain has this layer.
func (m *machine) number(layer *blocks.Layer) int {
	for index, device := range m.virtualDisks() {
		for current := m.lab.disk(device).live; current != nil; current = current.parent {
			if current.layer == layer {
				return index
			}
		}
	}
	return -1
}

// byteRange reads one range of a Range header. Anything else is answered with the whole file.
func byteRange(header string, size int64) (start, length int64, status int) {
	first, last, found := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	if header == "" || !found || strings.Contains(last, ",") {
		return 0, size, http.StatusOK
	}
	if first == "" {
		count, err := strconv.ParseInt(last, 10, 64)
		if err != nil {
			return 0, size, http.StatusOK
		}
		count = min(count, size)
		return size - count, count, http.StatusPartialContent
	}
	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, size, http.StatusOK
	}
	end := size - 1
	if last != "" {
		if end, err = strconv.ParseInt(last, 10, 64); err != nil || end < start {
			return 0, size, http.StatusOK
		}
		end = min(end, size-1)
	}
	if start >= size {
		return 0, 0, http.StatusRequestedRangeNotSatisfiable
	}
	return start, end - start + 1, http.StatusPartialContent
}
