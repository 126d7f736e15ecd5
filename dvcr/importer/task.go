package importer

import (
	"bufio"
	"context"
	"crypto/md5" //nolint:gosec // users give MD5 sums of images; what is trusted is the SHA-256
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/foreign"
	"slipway.dev/slipway/dvcr/upload"
)

// maxBases is how many earlier versions of an image are searched for frames.
const maxBases = 3

// task is one run of a job.
type task struct {
	job     Job
	options Options
	dir     string // for downloads of this job
	repo    *remote.Repository
	tag     string
	meter   *meter
	phase   func(Phase)  // tells the phase of an upload
	upload  *upload.Slot // where it is expected
}

// run imports the image unless DVCR has it. A source that changes while it is downloaded is read once more from the start; an
// upload as often as its user begins anew.
func (t *task) run(ctx context.Context, registry Registry) (*Result, error) {
	repository, tag, err := splitDestination(t.job.Destination)
	if err != nil {
		return nil, err
	}
	if t.repo, err = registry.Repository(repository); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidSource, err)
	}
	t.tag = tag
	stored, err := Stored(ctx, t.repo, tag)
	switch {
	case err != nil:
		return nil, err
	case stored != nil:
		return stored, t.cleanUp()
	}
	if t.job.Source.Upload != nil {
		return t.runUpload(ctx)
	}
	if t.job.Source.Artifact != nil {
		return t.mountArtifact(ctx, registry)
	}
	return t.runSource(ctx)
}

// Stored is the result of an import that has left its artifact under a tag; nil when there is none, or none that is whole.
func Stored(ctx context.Context, repo *remote.Repository, tag string) (*Result, error) {
	info, err := disk.InspectWhole(ctx, repo, tag)
	switch {
	case err == nil:
		return resultOf(info, 0), nil
	case !errors.Is(err, errdef.ErrNotFound) && errors.Is(err, disk.ErrTarget):
		return nil, classify(err)
	default:
		return nil, nil
	}
}

func (t *task) runSource(ctx context.Context) (*Result, error) {
	result, err := t.importSource(ctx)
	for again := true; again && errors.Is(err, errChanged); again = t.upload != nil {
		if err := t.cleanUp(); err != nil {
			return nil, err
		}
		result, err = t.importSource(ctx)
	}
	if err != nil {
		return nil, t.failed(err)
	}
	return result, t.cleanUp()
}

// runUpload expects the upload, and tells its user what became of it.
func (t *task) runUpload(ctx context.Context) (*Result, error) {
	if t.options.Uploads == nil {
		return nil, fmt.Errorf("%w: this importer receives no uploads", ErrUnsupported)
	}
	t.upload = t.options.Uploads.Open(t.job.ID, t.options.maxDownload())
	result, err := t.runSource(ctx)
	t.upload.Close(err)
	return result, err
}

// failed classifies an error. What is known to be useless for another attempt is removed.
func (t *task) failed(err error) error {
	err = classify(err)
	for _, again := range []error{ErrUnreachable, ErrRegistry, context.Canceled} {
		if errors.Is(err, again) && !errors.Is(err, errChanged) {
			return err
		}
	}
	return errors.Join(err, t.cleanUp())
}

func (t *task) cleanUp() error {
	if err := os.RemoveAll(t.dir); err != nil {
		return fmt.Errorf("remove download: %w", err)
	}
	return nil
}

func resultOf(info disk.Info, speed int64) *Result {
	return &Result{
		Format:       info.Config.Source.Format,
		CDROM:        info.Config.Source.Format == FormatISO,
		VirtualSize:  info.Config.VirtualSize,
		StoredSize:   info.StoredSize,
		SourceSize:   info.Config.Source.Size,
		Digest:       info.Digest,
		AverageSpeed: speed,
	}
}

func (t *task) importSource(ctx context.Context) (*Result, error) {
	if t.job.Source.count() != 1 {
		return nil, fmt.Errorf("%w: exactly one kind of source must be set", ErrInvalidSource)
	}
	switch s := t.job.Source; {
	case s.HTTP != nil:
		sums, err := newChecksums(s.HTTP.SHA256, s.HTTP.MD5)
		if err != nil {
			return nil, err
		}
		o, err := newHTTPOrigin(s.HTTP, t.options.Egress)
		if err != nil {
			return nil, err
		}
		return t.importOrigin(ctx, o, sums, nil)
	case s.Registry != nil:
		return t.importContainer(ctx, s.Registry, t.options.Egress)
	case s.Volume != nil:
		return t.importVolume(ctx, s.Volume)
	default:
		return t.importOrigin(ctx, &uploadOrigin{slot: t.upload, phase: t.phase}, nil, nil)
	}
}

// opener finds the image inside the unpacked content of a download, and tells whether the content is the image, plain. Nil
// means that it is.
type opener func(io.Reader) (image io.Reader, plain bool, err error)

// importOrigin downloads an origin and imports the image in it while it arrives.
func (t *task) importOrigin(ctx context.Context, o origin, sums checksums, open opener) (*Result, error) {
	s, err := openSpool(t.dir, o, t.options, t.meter)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var info disk.Info
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.download(ctx) })
	g.Go(func() error {
		var err error
		info, err = t.read(ctx, s, sums, open)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("import %s: %w", o, err)
	}
	return resultOf(info, t.meter.average()), nil
}

// read takes the image out of a download, decides what it is, and pushes it.
func (t *task) read(ctx context.Context, s *spool, sums checksums, open opener) (disk.Info, error) {
	wire := bufio.NewReaderSize(sums.reader(s.reader()), 256<<10)
	content, packed, err := unpack(wire, t.options)
	if err != nil {
		return disk.Info{}, err
	}
	defer content.Close()
	inner, inPlace := content, !packed && open == nil
	if open != nil {
		var plain bool
		if inner, plain, err = unpackFile(content, open, t.options); err != nil {
			return disk.Info{}, err
		}
		defer inner.Close()
		inPlace = plain && !packed
	}
	p := &payload{spool: s, image: bufio.NewReaderSize(inner, 1<<20), inPlace: inPlace}
	p.verify = func() error {
		if err := drain(content); err != nil {
			return err
		}
		if err := drain(wire); err != nil {
			return err
		}
		return sums.check()
	}
	return t.pushPayload(ctx, p)
}

// unpackFile finds the image in a layer and unpacks it, if it is a file that is compressed itself.
func unpackFile(layer io.Reader, open opener, o Options) (image io.ReadCloser, plain bool, err error) {
	found, plain, err := open(layer)
	if err != nil || plain {
		return io.NopCloser(found), plain, err
	}
	image, _, err = unpack(bufio.NewReaderSize(found, 256<<10), o)
	return image, false, err
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err //nolint:wrapcheck // the source's own error
}

// payload is an image on its way from a download to DVCR.
type payload struct {
	spool   *spool
	image   *bufio.Reader
	inPlace bool         // the download is the image, byte for byte
	verify  func() error // reads what is left of the download, and compares checksums
}

// pushPayload decides what the image is and pushes it.
func (t *task) pushPayload(ctx context.Context, p *payload) (disk.Info, error) {
	head, err := p.image.Peek(sniffSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return disk.Info{}, err //nolint:wrapcheck // the source's own error
	}
	format, err := sniffFormat(head)
	if err != nil {
		// A wrong checksum explains more than wrong content does.
		if sumErr := p.verify(); errors.Is(sumErr, ErrChecksum) {
			return disk.Info{}, sumErr
		}
		return disk.Info{}, err
	}
	if format == FormatQCOW2 || isDecoded(format) {
		return t.pushFile(ctx, p, format, head)
	}
	return t.pushStream(ctx, p, format)
}

// pushStream imports an image that is a raw disk, while it arrives.
func (t *task) pushStream(ctx context.Context, p *payload, format string) (disk.Info, error) {
	size := int64(-1)
	if p.inPlace && p.spool.length()%(1<<20) == 0 { // else a VHD footer may come, which does not count
		size = p.spool.length()
	}
	raw := &verified{image: p.image, verify: p.verify, format: format, exact: size >= 0}
	describe := func() disk.SourceConfig { return disk.SourceConfig{Format: raw.format, Size: p.spool.length()} }
	return t.push(ctx, disk.NewStream(raw, size), describe, 0)
}

// pushFile imports an image that has to be read at any place: from the download itself when it lies there as it is, and from
// a copy otherwise.
func (t *task) pushFile(ctx context.Context, p *payload, format string, head []byte) (disk.Info, error) {
	if size, err := disk.QCOW2Size(head); err == nil && size > t.options.MaxVirtualSize {
		return disk.Info{}, fmt.Errorf("%w: its disk has %d bytes, the limit is %d", ErrTooLarge, size, t.options.MaxVirtualSize)
	}
	t.meter.inTwoSteps()
	file := p.spool.file
	if !p.inPlace {
		var err error
		file, err = t.unpackTo(filepath.Join(t.dir, "image"), p.image)
		if err != nil {
			return disk.Info{}, err
		}
		defer file.Close()
	}
	if err := drain(p.image); err != nil {
		return disk.Info{}, err
	}
	if err := p.verify(); err != nil {
		return disk.Info{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return disk.Info{}, fmt.Errorf("look at download: %w", err)
	}
	src, err := t.openFile(ctx, file, info.Size(), format)
	if err != nil {
		return disk.Info{}, err
	}
	describe := func() disk.SourceConfig { return disk.SourceConfig{Format: format, Size: p.spool.length()} }
	result, err := t.push(ctx, src, describe, max(t.options.UnpackGrace, info.Size()*maxRatio))
	return result, errors.Join(err, src.Close())
}

// openFile opens the disk in an image whose format is not raw. Closing it leaves the file open.
func (t *task) openFile(ctx context.Context, file *os.File, size int64, format string) (disk.Source, error) {
	section := io.NewSectionReader(file, 0, size)
	if format == FormatQCOW2 {
		return disk.OpenQCOW2(section, size)
	}
	if err := foreign.Check(section, size, format); err != nil {
		return nil, err
	}
	return foreign.Open(ctx, file, format, t.dir, foreign.Limits{})
}

func (t *task) unpackTo(path string, image io.Reader) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create file for the unpacked image: %w", noSpace(err))
	}
	if _, err := io.Copy(f, image); err != nil {
		f.Close()
		return nil, fmt.Errorf("unpack image: %w", noSpace(err))
	}
	return f, nil
}

func (t *task) push(ctx context.Context, src disk.Source, describe func() disk.SourceConfig, maxData int64) (disk.Info, error) {
	bases, err := t.bases(ctx)
	if err != nil {
		return disk.Info{}, err
	}
	var faces disk.FaceMaker
	if t.options.Faces != nil {
		faces = t.options.Faces(t.repo)
	}
	return disk.Push(ctx, src, t.repo, t.tag, disk.PushOptions{
		Faces:          faces,
		Architecture:   t.options.Architecture,
		Describe:       describe,
		Bases:          bases,
		MaxVirtualSize: t.options.MaxVirtualSize,
		MaxData:        maxData,
		Clock:          t.options.Clock,
		Progress: func(p disk.Progress) {
			if p.Total > 0 {
				t.meter.pushed(float64(p.Done) / float64(p.Total))
			}
		},
	})
}

// bases returns other versions of the same image.
func (t *task) bases(ctx context.Context) ([]string, error) {
	var out []string
	err := t.repo.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			if tag != t.tag && len(out) < maxBases {
				out = append(out, tag)
			}
		}
		return nil
	})
	if err != nil && !isNotFound(err) {
		return nil, fmt.Errorf("list versions of the image: %w: %w", ErrRegistry, err)
	}
	return out, nil
}

// verified is the stream of a raw disk that ends well only if its source is what it should be. The footer that makes a VHD
// of a raw disk is left out.
type verified struct {
	image  *bufio.Reader
	verify func() error
	format string
	exact  bool // the length was declared, a footer included
	ended  error
}

// Read implements io.Reader. It keeps a footer's length back until more is there.
func (v *verified) Read(p []byte) (int, error) {
	if v.ended != nil {
		return 0, v.ended
	}
	ahead, err := v.image.Peek(vhdFooterSize + 1)
	switch {
	case err == nil:
		return v.image.Read(p[:min(len(p), v.image.Buffered()-vhdFooterSize)]) //nolint:wrapcheck // a reader passes errors on
	case err != io.EOF: //nolint:errorlint // only this is the regular end
		return 0, err //nolint:wrapcheck // see above
	case len(ahead) == 0:
		v.ended = io.EOF
	case isVHDFooter(ahead):
		v.ended = v.footer()
	default:
		n := copy(p, ahead)
		_, err := v.image.Discard(n)
		return n, err //nolint:wrapcheck // see above
	}
	if err := v.verify(); err != nil {
		v.ended = err
	}
	return 0, v.ended
}

func (v *verified) footer() error {
	if v.exact {
		return fmt.Errorf("%w: this is a VHD image of an odd size; convert it with \"qemu-img convert -f vpc -O qcow2\"", ErrUnsupported)
	}
	v.format = foreign.VHD
	if _, err := v.image.Discard(vhdFooterSize); err != nil {
		return fmt.Errorf("leave the footer out: %w", err)
	}
	return io.EOF
}

// checksums compares a download with the sums that the user gave.
type checksums []checksum

type checksum struct {
	name string
	hash hash.Hash
	want string
}

func newChecksums(sha256Sum, md5Sum string) (checksums, error) {
	var out checksums
	for _, c := range []checksum{{"sha256", sha256.New(), sha256Sum}, {"md5", md5.New(), md5Sum}} { //nolint:gosec // see the import
		if c.want == "" {
			continue
		}
		c.want = strings.ToLower(strings.TrimSpace(c.want))
		if b, err := hex.DecodeString(c.want); err != nil || len(b) != c.hash.Size() {
			return nil, fmt.Errorf("%w: %q is not a %s checksum in hex", ErrInvalidSource, c.want, c.name)
		}
		out = append(out, c)
	}
	return out, nil
}

func (c checksums) reader(r io.Reader) io.Reader {
	for _, sum := range c {
		r = io.TeeReader(r, sum.hash)
	}
	return r
}

// check compares; the reader must have been read to its end.
func (c checksums) check() error {
	for _, sum := range c {
		if got := hex.EncodeToString(sum.hash.Sum(nil)); got != sum.want {
			return fmt.Errorf("%w: %s is %s, want %s", ErrChecksum, sum.name, got, sum.want)
		}
	}
	return nil
}

func isNotFound(err error) bool {
	var answer *errcode.ErrorResponse
	return errors.Is(err, errdef.ErrNotFound) || errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
