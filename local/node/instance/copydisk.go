package instance

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/local/node/qemu"
)

// Copy is how a copy that a guest's QEMU makes of a disk stands.
type Copy struct {
	Known    bool // QEMU has heard of it
	Finished bool // all is written, but not yet closed
	Failure  string
	Done     int64 // bytes
	Total    int64
}

// copyNode names a copy in QEMU: the job, and the node that it writes.
func copyNode(id string) string { return qemu.Node("snapshot-" + id) }

// WriterOf names the instance whose guest writes to a volume. One that has it below an overlay only reads it.
func (r *Runtime) WriterOf(volume string) (types.UID, bool) {
	uid, used := r.UserOf(volume)
	if !used || r.get(uid).observe().Record.Volumes[volume] == "" {
		return "", false
	}
	return uid, true
}

// CopyDisk has the guest that uses a volume copy its disk into a file, as it is now: what the guest writes from now on
// does not come into the file. It says false when no guest uses the volume. A copy that was begun already goes on.
func (r *Runtime) CopyDisk(ctx context.Context, volume, id, file string) (bool, error) {
	uid, used := r.WriterOf(volume)
	if !used {
		return false, nil
	}
	m := r.get(uid)
	disk := m.observe().Record.Volumes[volume]
	if c, err := m.copyState(ctx, id); err != nil || c.Known {
		return true, err
	}
	return true, m.copyDisk(ctx, disk, copyNode(id), file)
}

func (m *machine) copyDisk(ctx context.Context, disk, node, file string) error {
	if err := m.dropNode(ctx, node); err != nil {
		return err
	}
	target := map[string]any{
		"driver": "qcow2", "node-name": node, "discard": "unmap", "file": map[string]any{"driver": "file", "filename": file},
	}
	if err := m.do(ctx, "blockdev-add", target); err != nil {
		return fmt.Errorf("open the copy of disk %s: %w", disk, err)
	}
	backup := map[string]any{
		"job-id": node, "device": qemu.Node(disk), "target": node, "sync": "top", "auto-dismiss": false,
	}
	if err := m.do(ctx, "blockdev-backup", backup); err != nil {
		return errors.Join(fmt.Errorf("begin the copy of disk %s: %w", disk, err), m.dropNode(ctx, node))
	}
	return nil
}

// CopyState looks how a copy stands. An instance without a process knows of none.
func (r *Runtime) CopyState(ctx context.Context, uid types.UID, id string) (Copy, error) {
	m := r.get(uid)
	if m == nil || !m.observe().Running {
		return Copy{}, nil
	}
	return m.copyState(ctx, id)
}

func (m *machine) copyState(ctx context.Context, id string) (Copy, error) {
	var jobs []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Error  string `json:"error"`
		Done   int64  `json:"current-progress"`
		Total  int64  `json:"total-progress"`
	}
	if err := m.ask(ctx, "query-jobs", nil, &jobs); err != nil {
		return Copy{}, fmt.Errorf("look for copy %s: %w", id, err)
	}
	for _, j := range jobs {
		if j.ID != copyNode(id) {
			continue
		}
		return Copy{Known: true, Finished: j.Status == "concluded" && j.Error == "", Failure: j.Error, Done: j.Done, Total: j.Total}, nil
	}
	return Copy{}, nil
}

// CloseCopy has QEMU close the file of a copy, finished or not. It says false when the process is gone, and nobody knows
// whether it did.
func (r *Runtime) CloseCopy(ctx context.Context, uid types.UID, id string) (bool, error) {
	m := r.get(uid)
	if m == nil || !m.observe().Running {
		return false, nil
	}
	c, err := m.copyState(ctx, id)
	if err != nil {
		return true, err
	}
	node := copyNode(id)
	if c.Known && !c.Finished && c.Failure == "" {
		if err := m.do(ctx, "block-job-cancel", map[string]any{"device": node, "force": true}); err != nil {
			return true, fmt.Errorf("cancel copy %s: %w", id, err)
		}
	}
	if c.Known {
		if err := m.do(ctx, "job-dismiss", map[string]any{"id": node}); err != nil {
			return true, fmt.Errorf("dismiss copy %s: %w", id, err)
		}
	}
	return true, m.dropNode(ctx, node)
}

// dropNode closes a node of QEMU's block layer, if it is there.
func (m *machine) dropNode(ctx context.Context, node string) error {
	var nodes []struct {
		Name string `json:"node-name"`
	}
	if err := m.ask(ctx, "query-named-block-nodes", map[string]any{"flat": true}, &nodes); err != nil {
		return fmt.Errorf("look for node %s: %w", node, err)
	}
	for _, n := range nodes {
		if n.Name != node {
			continue
		}
		if err := m.do(ctx, "blockdev-del", map[string]any{"node-name": node}); err != nil {
			return fmt.Errorf("close node %s: %w", node, err)
		}
	}
	return nil
}
