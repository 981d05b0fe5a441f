package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"

	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// errUnknown is answered with 404.
var errUnknown = errors.New("there is no such thing in the lab")

// controls are the calls of tests: JSON in, JSON out.
func (l *Lab) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /vms", answer(l.createMachine))
	mux.HandleFunc("DELETE /vms/{name}", answer(l.deleteMachine))
	mux.HandleFunc("POST /vms/{name}/writes", answer(l.writeGuest))
	mux.HandleFunc("GET /vms/{name}/disks/{disk}", l.serveContent)
	mux.HandleFunc("POST /vms/{name}/cbt-reset", answer(l.resetTracking))
	mux.HandleFunc("POST /vms/{name}/move", answer(l.moveMachine))
	mux.HandleFunc("GET /state", answer(l.state))
	mux.HandleFunc("POST /faults", answer(l.injectFault))
	mux.HandleFunc("DELETE /faults", answer(func(*http.Request) (any, error) {
		l.clearFaults()
		return map[string]any{}, nil
	}))
	mux.HandleFunc("PUT /throttle", answer(l.setRate))
	return mux
}

func answer(call func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		result, err := guarded(call, r)
		status := http.StatusOK
		if err != nil {
			status, result = http.StatusBadRequest, map[string]string{"error": err.Error()}
		}
		if errors.Is(err, errUnknown) {
			status = http.StatusNotFound
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(result)
	}
}

// guarded answers a mistake of the lab as an error that says where it is, not by a cut connection.
func guarded(call func(*http.Request) (any, error), r *http.Request) (result any, err error) {
	defer func() {
		if mistake := recover(); mistake != nil {
			err = fmt.Errorf("the lab has failed: %v\n%s", mistake, debug.Stack())
		}
	}()
	return call(r)
}

func decode(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func (l *Lab) named(r *http.Request) (*machine, error) {
	if m := l.machine(r.PathValue("name")); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("machine %q: %w", r.PathValue("name"), errUnknown)
}

func (m *machine) diskNumber(number int) (*types.VirtualDisk, error) {
	if devices := m.virtualDisks(); number >= 0 && number < len(devices) {
		return devices[number], nil
	}
	return nil, fmt.Errorf("disk %d of %s: %w", number, m.Name, errUnknown)
}

// guestWrite is what a guest writes: bytes, zeros, or bytes made from a seed.
type guestWrite struct {
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Seed   string `json:"seed"`
	Data   string `json:"data"`
	Zero   bool   `json:"zero"`
}

func (g guestWrite) content() ([]byte, error) {
	if g.Data != "" {
		return base64.StdEncoding.DecodeString(g.Data)
	}
	content := make([]byte, g.Length)
	if !g.Zero {
		digest := fnv.New64a()
		_, _ = io.WriteString(digest, g.Seed)
		random := rand.NewChaCha8([32]byte(fmt.Appendf(nil, "%032x", digest.Sum64())))
		_, _ = random.Read(content)
	}
	return content, nil
}

func (l *Lab) writeGuest(r *http.Request) (any, error) {
	var request struct {
		Disk   int          `json:"disk"`
		Writes []guestWrite `json:"writes"`
	}
	m, err := l.named(r)
	if err != nil {
		return nil, err
	}
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	device, err := m.diskNumber(request.Disk)
	if err != nil {
		return nil, err
	}
	content := l.disk(device)
	for _, one := range request.Writes {
		bytes, err := one.content()
		if err != nil {
			return nil, err
		}
		if len(bytes) == 0 {
			continue
		}
		// The simulator's lock of the machine keeps a snapshot from coming in between.
		ctx := l.context()
		ctx.WithLock(m.VirtualMachine, func() {
			if one.Zero && content.thin {
				err = content.live.layer.Unmap(one.Offset, int64(len(bytes)))
			} else {
				_, err = content.live.layer.WriteAt(bytes, one.Offset)
			}
			content.tracker.wrote(one.Offset, int64(len(bytes)))
		})
		if err != nil {
			return nil, err
		}
	}
	return map[string]any{}, nil
}

// serveContent gives the raw content of a disk, now or as in a snapshot.
func (l *Lab) serveContent(w http.ResponseWriter, r *http.Request) {
	layer, err := l.contentOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer l.store.Release(layer)
	start, length, status := byteRange(r.Header.Get("Range"), layer.Capacity)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	if status != http.StatusOK {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, start+length-1, layer.Capacity))
	}
	w.WriteHeader(status)
	_, _ = io.CopyBuffer(w, io.NewSectionReader(layer, start, length), make([]byte, 1<<20))
}

// contentOf is the layer that a request names, held for it.
func (l *Lab) contentOf(r *http.Request) (*blocks.Layer, error) {
	m, err := l.named(r)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(r.PathValue("disk"))
	if err != nil {
		return nil, err
	}
	device, err := m.diskNumber(number)
	if err != nil {
		return nil, err
	}
	name := r.URL.Query().Get("snapshot")
	if name == "" {
		return l.store.Hold(l.disk(device).live.layer), nil
	}
	if tree := m.Snapshot; tree != nil {
		if taken := snapshotNamed(tree.RootSnapshotList, name); taken != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			if frozen := l.snapshots[*taken][device.Key]; frozen != nil {
				return l.store.Hold(frozen.layer), nil
			}
		}
	}
	return nil, fmt.Errorf("snapshot %q of %s: %w", name, m.Name, errUnknown)
}

// resetTracking makes all bookmarks of a machine void.
func (l *Lab) resetTracking(r *http.Request) (any, error) {
	m, err := l.named(r)
	if err != nil {
		return nil, err
	}
	ctx := l.context()
	ctx.WithLock(m.VirtualMachine, func() {
		disks := m.contents()
		for _, content := range disks {
			content.tracker.reset(content.capacity)
		}
		m.refreshDisks(ctx, disks)
	})
	return map[string]any{}, nil
}

func (l *Lab) moveMachine(r *http.Request) (any, error) {
	var request struct {
		Host string `json:"host"`
	}
	m, err := l.named(r)
	if err != nil {
		return nil, err
	}
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	return map[string]string{"host": l.migrate(m.Name, request.Host)}, nil
}

// migrate moves a machine to a host, or to any other one, and tells which.
func (l *Lab) migrate(name, host string) string {
	m := l.machine(name)
	if m == nil {
		return ""
	}
	from := l.hostName(m.VirtualMachine)
	for _, entity := range l.registry().All("HostSystem") {
		candidate := entity.(*simulator.HostSystem)
		if candidate.Name == host || (host == "" && candidate.Name != from) {
			ctx := l.context()
			reference := candidate.Self
			ctx.WithLock(m.VirtualMachine, func() {
				ctx.Update(m.VirtualMachine, []types.PropertyChange{
					{Name: "runtime.host", Val: &reference}, {Name: "summary.runtime.host", Val: &reference},
				})
			})
			if before := l.host(from); before != nil {
				l.registry().RemoveReference(ctx, before, &before.Vm, m.Self)
			}
			l.registry().AddReference(ctx, candidate, &candidate.Vm, m.Self)
			return candidate.Name
		}
	}
	return from
}

func (l *Lab) injectFault(r *http.Request) (any, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var f fault
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	var given map[string]any
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, err
	}
	_, f.located = given["at"]
	if err := l.strike(&f); err != nil {
		return nil, err
	}
	return map[string]int{"id": f.ID}, nil
}

func (l *Lab) setRate(r *http.Request) (any, error) {
	var request struct {
		BytesPerSecond int64 `json:"bytes_per_second"`
	}
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	l.rate.set(request.BytesPerSecond)
	return map[string]any{}, nil
}
