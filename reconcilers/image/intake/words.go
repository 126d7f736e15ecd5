package intake

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
)

// ErrImagePull says that an import cannot begin because the image of the importer itself cannot be pulled.
var ErrImagePull = errors.New("the importer's image cannot be pulled")

// remedies says for each cause of a failed import what a user can do, in the
// order in which causes are looked for.
var remedies = []struct {
	cause  error
	remedy string
}{
	{ErrImagePull, "see to the image in the PodTemplate of importers, and that nodes may pull it"},
	{importer.ErrRegistry, "DVCR, the image registry of Slipway, cannot be used; the import goes on when it is back"},
	{importer.ErrNoSpace, "free disk space where DVCR keeps its data"},
	{importer.ErrChecksum, "correct the checksum in the data source, or the file on the server"},
	{importer.ErrNotDiskImage, "the data source must be a raw, qcow2, VMDK, VDI, VHD, VHDX or ISO image, plain or packed with gzip, xz or zstd"},
	{importer.ErrUnsigned, "have it signed by somebody who is trusted, or name the Secret of who did sign it in annotation " + SignedByAnnotation},
	{importer.ErrUploadTimeout, "delete and create the object to get another address"},
	{importer.ErrNotFound, "correct the address in the data source, or put the file there"},
	{importer.ErrUnauthorized, "give credentials in imagePullSecret that may read the image"},
	{importer.ErrTooLarge, "use a smaller image"},
	{importer.ErrUnsupported, "convert the image to raw or qcow2"},
	{importer.ErrInvalidSource, "correct the data source"},
	{importer.ErrForbiddenAddress, "use an address that is not local to the machine on which Slipway runs"},
	{importer.ErrUnreachable, "see that the server answers"},
}

// Describe is why an import failed and what to do about it, in one sentence.
func Describe(t Transfer) string {
	if t.LastError == nil {
		return ""
	}
	words := []string{t.LastError.Error()}
	for _, r := range remedies {
		if errors.Is(t.LastError, r.cause) {
			words = append(words, r.remedy)
			break
		}
	}
	if !t.RetryAt.IsZero() {
		words = append(words, fmt.Sprintf("try %d follows at %s", t.Failures+1, t.RetryAt.UTC().Format("15:04:05 MST")))
	}
	return strings.Join(words, "; ")
}

// AwaitsUser tells whether the import stands still until a user uploads.
func (t Transfer) AwaitsUser() bool { return t.Phase == importer.Waiting }

// Expired tells whether a user was awaited in vain.
func (t Transfer) Expired() bool {
	return t.Phase == importer.Failed && errors.Is(t.Err, importer.ErrUploadTimeout)
}

// UploadURLs are the addresses as status.imageUploadURLs shows them, nil while nothing is expected.
func (t Transfer) UploadURLs() *v1alpha2.ImageUploadURLs {
	if t.Upload == nil {
		return nil
	}
	return &v1alpha2.ImageUploadURLs{External: t.Upload.External, InCluster: t.Upload.InCluster}
}

// UploadCommand is the command as the deprecated status.uploadCommand shows it.
func (t Transfer) UploadCommand() string {
	if t.Upload == nil {
		return ""
	}
	return "curl " + t.Upload.External + " -T <file>"
}

// Invitation asks the user to upload, or to go on with it. It does not hold the address, which is a secret.
func (t Transfer) Invitation() string {
	words := "upload the image to the address in status.imageUploadURLs, such as with \"curl -T FILE URL\""
	if t.Progress.Done > 0 {
		words = fmt.Sprintf("the upload broke off after %d bytes: send the rest with \"curl -T FILE -C %d URL\", or all of it once more",
			t.Progress.Done, t.Progress.Done)
	}
	if t.LastError != nil {
		words = "the last upload was refused: " + t.LastError.Error() + "; " + words
	}
	return words
}

// Stands tells whether the failure of a transfer is still its last word: it has
// failed, or it is being tried again and has not brought a byte yet.
func (t Transfer) Stands() bool {
	if t.Phase == importer.Succeeded || t.AwaitsUser() || t.LastError == nil {
		return false
	}
	return t.Phase == importer.Failed || t.Progress.Done == 0
}

// NotPulled tells that the failure is that of the importer's own image.
func (t Transfer) NotPulled() bool { return errors.Is(t.LastError, ErrImagePull) }

// Percent is a share of a whole as status.progress shows it, such as "12.5%".
func Percent(p importer.Progress) string {
	return Points(Share(p) * 100)
}

// Share is how much of the source has come in, from 0 to 1; 0 when the size is
// not known.
func Share(p importer.Progress) float64 {
	if p.Total <= 0 {
		return 0
	}
	return math.Min(float64(p.Done)/float64(p.Total), 1)
}

// Points writes a percentage.
func Points(points float64) string {
	if points >= 100 {
		return "100%"
	}
	return strconv.FormatFloat(math.Floor(points*10)/10, 'f', 1, 64) + "%"
}

// Bytes writes a size with a binary unit, such as "25.5Mi".
func Bytes(n int64) string {
	units := []string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + units[unit]
}

// Size is a result as status.size shows it.
func Size(r *importer.Result) v1alpha2.ImageSize {
	return v1alpha2.ImageSize{
		Stored:        Bytes(r.StoredSize),
		StoredBytes:   strconv.FormatInt(r.StoredSize, 10),
		Unpacked:      Bytes(r.VirtualSize),
		UnpackedBytes: strconv.FormatInt(r.VirtualSize, 10),
	}
}

// Speed is a transfer's rate as status.downloadSpeed shows it, nil before there
// is one.
func Speed(t Transfer) *v1alpha2.DownloadSpeed {
	if t.Result != nil && t.Result.AverageSpeed > 0 {
		average := t.Result.AverageSpeed
		return &v1alpha2.DownloadSpeed{Avg: Bytes(average) + "/s", AvgBytes: strconv.FormatInt(average, 10)}
	}
	if t.Progress.BytesPerSecond <= 0 {
		return nil
	}
	current := t.Progress.BytesPerSecond
	return &v1alpha2.DownloadSpeed{Current: Bytes(current) + "/s", CurrentBytes: strconv.FormatInt(current, 10)}
}
