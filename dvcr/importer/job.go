package importer

import (
	"context"
	"fmt"
	"strings"

	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/upload"
	"slipway.dev/slipway/internal/signatures"
)

// Job is one image to import.
type Job struct {
	// ID names the job across restarts; a partial download is found again by it.
	ID string
	// Source is where the image is.
	Source Source
	// Destination is the repository and tag in DVCR, such as "vi/team/debian:5f0c…".
	Destination string
}

// Source is where an image is; exactly one field is set.
type Source struct {
	HTTP     *HTTPSource
	Registry *RegistrySource
	Upload   *UploadSource
	Artifact *ArtifactSource
	Volume   *VolumeSource
}

// ArtifactSource is an image that lies in DVCR already, under another name. Copying it moves no data.
type ArtifactSource struct {
	// Name is its repository and tag, like a destination.
	Name string
}

// VolumeSource is the disk in the volume of a claim. Nobody may write to it meanwhile.
type VolumeSource struct {
	Namespace, Claim string
	// Format is what the result says of the image; empty means raw.
	Format string
}

// Volumes opens the volumes of claims.
type Volumes interface {
	// Open gives the disk in a volume and keeps those away who would write to it. It fails with an error that matches
	// ErrUnreachable while somebody uses the volume, and with one that matches ErrNotFound when there is none.
	Open(ctx context.Context, namespace, claim string) (Volume, error)
}

// Volume is a disk that can be read.
type Volume struct {
	// Path is a file that this platform wrote, or a block device, Format one of QEMU's; files below it are followed.
	Path, Format string
	// Release lets others use the volume again.
	Release func()
}

// count returns how many fields are set.
func (s Source) count() int {
	n := 0
	for _, set := range []bool{s.HTTP != nil, s.Registry != nil, s.Upload != nil, s.Artifact != nil, s.Volume != nil} {
		if set {
			n++
		}
	}
	return n
}

// UploadSource is an image that a user sends. The state of the job says where to.
type UploadSource struct {
	// MaxSize refuses larger disks; 0 means that only the runner's limit counts.
	MaxSize int64
}

// HTTPSource is an image behind an http or https URL.
type HTTPSource struct {
	URL string
	// CABundle holds PEM certificates that are trusted besides the system's.
	CABundle []byte
	// SHA256 and MD5, in hex, are compared with what was downloaded, as it is, before it is unpacked.
	SHA256, MD5 string
}

// RegistrySource is an image in a container registry: a containerDisk, or a disk that Slipway stored there.
type RegistrySource struct {
	// Image is the reference, with a tag or a digest: "registry.example.com/team/debian:12".
	Image string
	// CABundle holds PEM certificates that are trusted besides the system's.
	CABundle []byte
	// Username and Password are empty for anonymous access.
	Username, Password string
	// SignedBy says who must have signed the image: somebody of each. It is checked before anything of the image is read.
	SignedBy []signatures.Trust
}

// Phase says where a job stands.
type Phase string

// Phases of a job.
const (
	// Pending jobs wait until others have finished.
	Pending Phase = "Pending"
	// Waiting jobs need a user to upload the image, or the rest of it.
	Waiting Phase = "Waiting"
	// Running jobs read, convert and upload.
	Running Phase = "Running"
	// Succeeded jobs have a Result.
	Succeeded Phase = "Succeeded"
	// Failed jobs have an Err and do nothing until Retry or Forget.
	Failed Phase = "Failed"
)

// State is what is known of a job.
type State struct {
	Phase    Phase
	Progress Progress
	// Result is set when the job succeeded.
	Result *Result
	// Err is set when it failed; it matches one of the package's errors.
	Err error
	// Upload is where the image is expected, set while a job with an UploadSource is under way.
	Upload *upload.URLs
}

// Progress of a running job.
type Progress struct {
	// Done and Total count bytes of the source; Total is 0 while it is not known.
	Done, Total int64
	// BytesPerSecond is how fast the source was read in the last second.
	BytesPerSecond int64
}

// Result of an import.
type Result struct {
	// Format is what the image was: raw, qcow2 or iso.
	Format string
	// CDROM is set for images that go into a CD drive.
	CDROM bool
	// VirtualSize is the length of the disk, StoredSize what it takes in DVCR, SourceSize what was downloaded.
	VirtualSize, StoredSize, SourceSize int64
	// Digest names the artifact.
	Digest string
	// AverageSpeed is bytes of the source per second; 0 when an earlier process did the import.
	AverageSpeed int64
}

// Registry gives the repositories of DVCR. *registry.Client is one.
type Registry interface {
	Repository(name string) (*remote.Repository, error)
}

// splitDestination returns the repository and the tag of a destination.
func splitDestination(destination string) (repository, tag string, err error) {
	repository, tag, ok := strings.Cut(destination, ":")
	if !ok || repository == "" || tag == "" {
		return "", "", fmt.Errorf("%w: destination %q is not of the form repository:tag", ErrInvalidSource, destination)
	}
	return repository, tag, nil
}
