package disk

import "errors"

// Errors that a caller decides by; each is wrapped with what was being done and to which object.
var (
	// ErrCorrupt says that the artifact's bytes are not what its digests promise. Nothing of them was written.
	ErrCorrupt = errors.New("disk artifact is corrupt")
	// ErrNotArtifact says that the reference names something that is not a Slipway disk.
	ErrNotArtifact = errors.New("not a Slipway disk artifact")
	// ErrUnsupported says that an image uses a feature that is refused on purpose.
	ErrUnsupported = errors.New("image is not supported")
	// ErrInvalidImage says that an image contradicts its own format.
	ErrInvalidImage = errors.New("image is invalid")
	// ErrTooLarge says that an image is over one of the limits given to Push.
	ErrTooLarge = errors.New("image is too large")
	// ErrTarget says that the registry that holds or takes the artifact failed, not the disk.
	ErrTarget = errors.New("registry request failed")
)
