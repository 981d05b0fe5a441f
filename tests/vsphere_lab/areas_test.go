package main

import (
	"testing"

	"hypersdk/vspherelab/blocks"
)

func TestPagesCoverTheDisk(t *testing.T) {
	lab := &Lab{options: options{areasPage: 2}}
	areas := []blocks.Extent{{Start: 0, Length: 5}, {Start: 10, Length: 5}, {Start: 20, Length: 5}, {Start: 90, Length: 10}}
	var seen []blocks.Extent
	for at := int64(0); at < 100; {
		page := lab.page(areas, at, 100)
		if page.StartOffset != at || page.Length <= 0 {
			t.Fatalf("page at %d: %+v", at, page)
		}
		for _, area := range page.ChangedArea {
			seen = append(seen, blocks.Extent{Start: area.Start, Length: area.Length})
		}
		at += page.Length
	}
	if len(seen) != len(areas) || seen[2] != areas[2] {
		t.Errorf("areas: %v", seen)
	}
}

func TestATrackerForgetsNothingBetweenBookmarks(t *testing.T) {
	tracked := newTracker(100 * blocks.Size)
	tracked.start()
	first := tracked.end()
	tracked.wrote(blocks.Size-1, 2) // two blocks
	second := tracked.end()
	tracked.wrote(0, 1) // again, after the second bookmark
	third := tracked.end()
	for _, one := range []struct {
		since, until string
		count        int64
	}{{first, second, 2}, {second, third, 1}, {first, third, 2}, {third, third, 0}, {first, "", 2}} {
		changed, known := tracked.changed(one.since, one.until)
		if !known || changed.Count() != one.count {
			t.Errorf("%v: %d blocks, known %t", one, changed.Count(), known)
		}
	}
	tracked.reset(100 * blocks.Size)
	if _, known := tracked.changed(first, ""); known {
		t.Error("a bookmark outlived the reset")
	}
}

func TestAllocatedAreasAreWhole(t *testing.T) {
	areas := []blocks.Extent{{Start: 65536, Length: 65536}, {Start: 1 << 20, Length: 65536}, {Start: 5 << 20, Length: 1}}
	got := rounded(areas, 5<<20+4096)
	if len(got) != 2 || got[0] != (blocks.Extent{Start: 0, Length: 2 << 20}) || got[1].Length != 4096 {
		t.Errorf("rounded: %v", got)
	}
}
