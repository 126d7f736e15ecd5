package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// NodeGetInfo tells the node's name. Volumes are everywhere, so there is no topology.
func (d *Driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

// NodeGetCapabilities tells that devices are told of their growth.
func (d *Driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{Capabilities: []*csi.NodeServiceCapability{
		{Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: csi.NodeServiceCapability_RPC_EXPAND_VOLUME}}},
	}}, nil
}

// NodePublishVolume puts a volume where a pod expects it.
func (d *Driver) NodePublishVolume(ctx context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	record, err := d.store.Get(Volumes, request.GetVolumeId())
	if err != nil {
		return nil, answer(err)
	}
	source, target := d.store.Path(Volumes, record.ID), request.GetTargetPath()
	if (request.GetVolumeCapability().GetBlock() != nil) != record.Block {
		return nil, status.Error(codes.InvalidArgument, "the volume is of the other mode")
	}
	if record.Block {
		if source, err = attach(ctx, source); err != nil {
			return nil, answer(err)
		}
	}
	if err := bind(source, target, record.Block, request.GetReadonly()); err != nil {
		return nil, answer(err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// bind mounts source at target, once.
func bind(source, target string, file, readOnly bool) error {
	if err := makeTarget(target, file); err != nil {
		return err
	}
	if mounted, err := isMount(target); err != nil || mounted {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", source, target, err)
	}
	if !readOnly {
		return nil
	}
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", target, err)
	}
	return nil
}

func makeTarget(target string, file bool) error {
	if !file {
		if err := os.MkdirAll(target, 0o750); err != nil {
			return fmt.Errorf("make the target: %w", err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return fmt.Errorf("make the target's directory: %w", err)
	}
	place, err := os.OpenFile(target, os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("make the target: %w", err)
	}
	return place.Close()
}

// isMount reads the mount table: a bind within one file system is not told by its device.
func isMount(path string) (bool, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, fmt.Errorf("read the mount table: %w", err)
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == path {
			return true, nil
		}
	}
	return false, nil
}

// attach gives the loop device over a file: the one that there is, because two of them would not see each other's writes.
func attach(ctx context.Context, file string) (string, error) {
	device, err := deviceOf(ctx, file)
	if err != nil || device != "" {
		return device, err
	}
	return losetup(ctx, "--find", "--show", "--nooverlap", "--direct-io=on", file)
}

// deviceOf finds the loop device over a file; empty when there is none.
func deviceOf(ctx context.Context, file string) (string, error) {
	output, err := losetup(ctx, "--noheadings", "--output", "NAME", "--associated", file)
	if err != nil {
		return "", err
	}
	device, _, _ := strings.Cut(output, "\n")
	return strings.TrimSpace(device), nil
}

func losetup(ctx context.Context, args ...string) (string, error) {
	output, err := exec.CommandContext(ctx, "losetup", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("losetup %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return strings.TrimSpace(string(output)), nil
}

// NodeUnpublishVolume takes a volume away from a pod. The loop device stays while another pod may have it.
func (d *Driver) NodeUnpublishVolume(ctx context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	target := request.GetTargetPath()
	if err := unix.Unmount(target, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return nil, answer(fmt.Errorf("unmount %s: %w", target, err))
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, answer(fmt.Errorf("remove the target: %w", err))
	}
	if err := d.detach(ctx, request.GetVolumeId()); err != nil {
		return nil, answer(err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// detach has the kernel drop the device of a volume when its last user closes it.
func (d *Driver) detach(ctx context.Context, id string) error {
	record, err := d.store.Get(Volumes, id)
	if errors.Is(err, ErrNotFound) || err == nil && !record.Block {
		return nil
	}
	if err != nil {
		return err
	}
	device, err := deviceOf(ctx, d.store.Path(Volumes, id))
	if err != nil || device == "" {
		return err
	}
	if used, err := bound(device); err != nil || used {
		return err
	}
	_, err = losetup(ctx, "--detach", device)
	return err
}

// podsDir is below where kubelet has pods' volumes mounted. A node may have its devices by mounts, too.
const podsDir = "/var/lib/kubelet/"

// bound tells whether a device is somewhere in a pod, which may not have opened it yet.
func bound(device string) (bool, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, fmt.Errorf("read the mount table: %w", err)
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[3] == "/"+filepath.Base(device) && strings.HasPrefix(fields[4], podsDir) {
			return true, nil
		}
	}
	return false, nil
}

// NodeExpandVolume tells a device that its file has grown.
func (d *Driver) NodeExpandVolume(ctx context.Context, request *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	record, err := d.store.Get(Volumes, request.GetVolumeId())
	if err != nil {
		return nil, answer(err)
	}
	if record.Block {
		device, err := deviceOf(ctx, d.store.Path(Volumes, record.ID))
		if err == nil && device != "" {
			_, err = losetup(ctx, "--set-capacity", device)
		}
		if err != nil {
			return nil, answer(err)
		}
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: record.Bytes}, nil
}
