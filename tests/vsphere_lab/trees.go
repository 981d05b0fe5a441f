package main

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

func treeOf(trees []types.VirtualMachineSnapshotTree, wanted types.ManagedObjectReference) *types.VirtualMachineSnapshotTree {
	for index := range trees {
		if trees[index].Snapshot == wanted {
			return &trees[index]
		}
		if below := treeOf(trees[index].ChildSnapshotList, wanted); below != nil {
			return below
		}
	}
	return nil
}

// everySnapshot of a forest, parents before their children.
func everySnapshot(trees []types.VirtualMachineSnapshotTree) []types.ManagedObjectReference {
	var found []types.ManagedObjectReference
	for _, tree := range trees {
		found = append(found, tree.Snapshot)
		found = append(found, everySnapshot(tree.ChildSnapshotList)...)
	}
	return found
}

// subtree is a snapshot and all below it.
func subtree(trees []types.VirtualMachineSnapshotTree, root types.ManagedObjectReference) []types.ManagedObjectReference {
	if tree := treeOf(trees, root); tree != nil {
		return append([]types.ManagedObjectReference{root}, everySnapshot(tree.ChildSnapshotList)...)
	}
	return nil
}

// snapshotNamed is the first snapshot of this name.
func snapshotNamed(trees []types.VirtualMachineSnapshotTree, name string) *types.ManagedObjectReference {
	for index := range trees {
		if trees[index].Name == name {
			return &trees[index].Snapshot
		}
		if below := snapshotNamed(trees[index].ChildSnapshotList, name); below != nil {
			return below
		}
	}
	return nil
}

func deltaName(base string, number int) string {
	return fmt.Sprintf("%s-%06d.vmdk", strings.TrimSuffix(base, ".vmdk"), number)
}
