package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"hypersdk/vspherelab/blocks"
	"hypersdk/vspherelab/sparse"
)

// mostPacked is how many packed streams are kept. Packing takes more time than anything else here,
// and benchmarks want to see their client, not this.
const mostPacked = 16

// packedStream is the stream of a content that was sent before.
type packedStream struct {
	layer     *blocks.Layer
	writes    int64
	name      string
	file      string
	populated int64
}

// packedCache keeps packed streams in files.
type packedCache struct {
	mu      sync.Mutex
	folder  string
	streams []packedStream
}

// send writes a layer as streamOptimized VMDK, from the cache where it is there.
func (c *packedCache) send(out io.Writer, layer *blocks.Layer, name string) (int64, error) {
	writes := layer.Writes()
	if known := c.find(layer, writes, name); known != nil {
		defer known.Close()
		_, err := io.CopyBuffer(onlyWriter{out}, known.File, make([]byte, 1<<20))
		return known.populated, err
	}
	source := sparse.Source{ReaderAt: layer, Capacity: layer.Capacity, Allocated: layer.Allocated()}
	copied, err := os.CreateTemp(c.folder, "packed-*.vmdk")
	if err != nil {
		return 0, err
	}
	defer copied.Close()
	populated, err := sparse.Write(io.MultiWriter(out, copied), source, name)
	if err != nil {
		return 0, errors.Join(err, os.Remove(copied.Name()))
	}
	c.add(packedStream{layer: layer, writes: writes, name: name, file: copied.Name(), populated: populated})
	return populated, nil
}

// openStream is a cached stream that is being read.
type openStream struct {
	*os.File
	populated int64
}

func (c *packedCache) find(layer *blocks.Layer, writes int64, name string) *openStream {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.streams {
		if one.layer == layer && one.writes == writes && one.name == name {
			if file, err := os.Open(one.file); err == nil {
				return &openStream{file, one.populated}
			}
		}
	}
	return nil
}

func (c *packedCache) add(made packedStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.streams) >= mostPacked {
		_ = os.Remove(c.streams[0].file)
		c.streams = slices.Delete(c.streams, 0, 1)
	}
	c.streams = append(c.streams, made)
}

// onlyWriter hides that a writer can read from files itself: slices must pass the channel.
type onlyWriter struct{ io.Writer }
