package driver

import (
	"context"
	"errors"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// defaultBytes is the size of a volume for which none is wanted.
const defaultBytes = 1 << 30

// ControllerGetCapabilities tells what the controller can do.
func (d *Driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
	} {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: kind}},
		})
	}
	return response, nil
}

// CreateVolume makes a volume: empty, or a copy of another or of a snapshot.
func (d *Driver) CreateVolume(ctx context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	block, err := blockWanted(request.GetVolumeCapabilities())
	if err != nil {
		return nil, err
	}
	wanted := Record{ID: request.GetName(), Bytes: bytesWanted(request.GetCapacityRange()), Block: block, Made: time.Now()}
	made, err := d.store.Make(ctx, Volumes, wanted, origin(request.GetVolumeContentSource()))
	if err != nil {
		return nil, answer(err)
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: made.ID, CapacityBytes: made.Bytes, ContentSource: request.GetVolumeContentSource()}}, nil
}

// blockWanted tells a device from a directory; a volume cannot be both.
func blockWanted(capabilities []*csi.VolumeCapability) (bool, error) {
	if len(capabilities) == 0 {
		return false, status.Error(codes.InvalidArgument, "say how the volume is to be used")
	}
	block := capabilities[0].GetBlock() != nil
	for _, capability := range capabilities {
		if (capability.GetBlock() != nil) != block {
			return false, status.Error(codes.InvalidArgument, "a volume is a block device or a directory, not both")
		}
	}
	return block, nil
}

func bytesWanted(capacity *csi.CapacityRange) int64 {
	if wanted := capacity.GetRequiredBytes(); wanted > 0 {
		return wanted
	}
	if limit := capacity.GetLimitBytes(); limit > 0 {
		return limit
	}
	return defaultBytes
}

func origin(source *csi.VolumeContentSource) *Origin {
	switch {
	case source.GetSnapshot() != nil:
		return &Origin{Kind: Snapshots, ID: source.GetSnapshot().GetSnapshotId()}
	case source.GetVolume() != nil:
		return &Origin{Kind: Volumes, ID: source.GetVolume().GetVolumeId()}
	default:
		return nil
	}
}

// DeleteVolume deletes a volume.
func (d *Driver) DeleteVolume(_ context.Context, request *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if err := d.store.Remove(Volumes, request.GetVolumeId()); err != nil {
		return nil, answer(err)
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// ValidateVolumeCapabilities confirms what a volume is.
func (d *Driver) ValidateVolumeCapabilities(_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	record, err := d.store.Get(Volumes, request.GetVolumeId())
	if err != nil {
		return nil, answer(err)
	}
	block, err := blockWanted(request.GetVolumeCapabilities())
	if err != nil {
		return nil, err
	}
	if block != record.Block {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: "the volume is of the other mode"}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: request.GetVolumeCapabilities()},
	}, nil
}

// ControllerExpandVolume makes a volume larger. A device has to be told on its node.
func (d *Driver) ControllerExpandVolume(_ context.Context, request *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	grown, err := d.store.Grow(request.GetVolumeId(), bytesWanted(request.GetCapacityRange()))
	if err != nil {
		return nil, answer(err)
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: grown.Bytes, NodeExpansionRequired: grown.Block}, nil
}

// CreateSnapshot copies a volume.
func (d *Driver) CreateSnapshot(ctx context.Context, request *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	source, err := d.store.Get(Volumes, request.GetSourceVolumeId())
	if err != nil {
		return nil, answer(err)
	}
	if have, err := d.store.Get(Snapshots, request.GetName()); err == nil && have.Source == source.ID {
		return &csi.CreateSnapshotResponse{Snapshot: describe(have)}, nil
	}
	wanted := Record{ID: request.GetName(), Bytes: source.Bytes, Block: source.Block, Made: time.Now()}
	made, err := d.store.Make(ctx, Snapshots, wanted, &Origin{Kind: Volumes, ID: source.ID})
	if err != nil {
		return nil, answer(err)
	}
	return &csi.CreateSnapshotResponse{Snapshot: describe(made)}, nil
}

// DeleteSnapshot deletes a snapshot.
func (d *Driver) DeleteSnapshot(_ context.Context, request *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if err := d.store.Remove(Snapshots, request.GetSnapshotId()); err != nil {
		return nil, answer(err)
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

// ListSnapshots finds snapshots by their handle or by their volume.
func (d *Driver) ListSnapshots(_ context.Context, request *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	records, err := d.store.List(Snapshots)
	if err != nil {
		return nil, answer(err)
	}
	response := &csi.ListSnapshotsResponse{}
	for _, record := range records {
		if wanted := request.GetSnapshotId(); wanted != "" && wanted != record.ID {
			continue
		}
		if wanted := request.GetSourceVolumeId(); wanted != "" && wanted != record.Source {
			continue
		}
		response.Entries = append(response.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: describe(record)})
	}
	return response, nil
}

func describe(record Record) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId: record.ID, SourceVolumeId: record.Source, SizeBytes: record.Bytes, CreationTime: timestamppb.New(record.Made), ReadyToUse: true,
	}
}

// answer says an error in the words of the protocol.
func answer(err error) error {
	code := codes.Internal
	switch {
	case errors.Is(err, ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, ErrDiffers):
		code = codes.AlreadyExists
	case errors.Is(err, ErrTooSmall):
		code = codes.OutOfRange
	}
	return status.Error(code, err.Error())
}
