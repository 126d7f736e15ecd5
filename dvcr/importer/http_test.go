package importer_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/internal/egress"
)

func TestImportFormats(t *testing.T) {
	raw, small := rawDisk(1, 2*mib), rawDisk(1, mib/4)
	iso := append(make([]byte, 0x8001), "CD001"...)
	iso = append(iso, rawDisk(2, mib)...)
	hybrid := rawDisk(3, mib)
	copy(hybrid[0x8001:], "CD001")
	gpt := make([]byte, mib)
	copy(gpt[512:], "EFI PART")
	ext4 := make([]byte, mib)
	copy(ext4[1080:], "\x53\xef")

	cases := map[string]struct {
		content []byte
		want    []byte
		format  string
		cdrom   bool
	}{
		"raw":               {content: raw, want: raw, format: "raw"},
		"raw in gzip":       {content: gz(t, raw), want: raw, format: "raw"},
		"raw in xz":         {content: xzip(t, small), want: small, format: "raw"},
		"raw in zstd":       {content: zst(t, raw), want: raw, format: "raw"},
		"gpt":               {content: gpt, want: gpt, format: "raw"},
		"file system":       {content: ext4, want: ext4, format: "raw"},
		"iso":               {content: iso, want: iso, format: "iso", cdrom: true},
		"bootable iso":      {content: hybrid, want: hybrid, format: "iso", cdrom: true},
		"vmdk":              {content: convert(t, raw, "-O", "vmdk"), want: raw, format: "vmdk"},
		"vmdk, streamed":    {content: convert(t, raw, "-O", "vmdk", "-o", "subformat=streamOptimized"), want: raw, format: "vmdk"},
		"vmdk in gzip":      {content: gz(t, convert(t, raw, "-O", "vmdk")), want: raw, format: "vmdk"},
		"vdi":               {content: convert(t, raw, "-O", "vdi"), want: raw, format: "vdi"},
		"vdi in xz":         {content: xzip(t, convert(t, small, "-O", "vdi")), want: small, format: "vdi"},
		"vhdx":              {content: convert(t, raw, "-O", "vhdx"), want: raw, format: "vhdx"},
		"vhdx in zstd":      {content: zst(t, convert(t, raw, "-O", "vhdx")), want: raw, format: "vhdx"},
		"vhd":               {content: convert(t, raw, "-O", "vpc", "-o", "force_size=on"), want: raw, format: "vpc"},
		"vhd of fixed size": {content: convert(t, raw, "-O", "vpc", "-o", "subformat=fixed,force_size=on"), want: raw, format: "vpc"},
		"qcow2 v2":          {content: convert(t, raw, "-O", "qcow2", "-o", "compat=0.10"), want: raw, format: "qcow2"},
		"qcow2 of zstd":     {content: convert(t, raw, "-c", "-O", "qcow2", "-o", "compression_type=zstd"), want: raw, format: "qcow2"},
		"qcow2 in zstd":     {content: zst(t, convert(t, raw, "-O", "qcow2")), want: raw, format: "qcow2"},
		"iso in gzip":       {content: gz(t, iso), want: iso, format: "iso", cdrom: true},
		"qcow2":             {content: convert(t, raw, "-O", "qcow2"), want: raw, format: "qcow2"},
		"qcow2 compressed":  {content: convert(t, raw, "-c", "-O", "qcow2"), want: raw, format: "qcow2"},
		"qcow2 in gzip":     {content: gz(t, convert(t, raw, "-O", "qcow2")), want: raw, format: "qcow2"},
		"qcow2 in xz":       {content: xzip(t, convert(t, small, "-O", "qcow2")), want: small, format: "qcow2"},
	}
	reg := dvcr(t).Client()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := loopback()
			o.Dir = t.TempDir()
			sum, sum5 := sha256.Sum256(c.content), md5.Sum(c.content)
			job := httpJob(serve(t, c.content))
			job.Source.HTTP.SHA256, job.Source.HTTP.MD5 = strings.ToUpper(hex.EncodeToString(sum[:])), hex.EncodeToString(sum5[:])
			job.Destination = "vi/team/" + strings.NewReplacer(" ", "-", ",", "").Replace(name) + ":v1"
			s := finishJob(t, newRunner(t, reg, o), job)
			if s.Err != nil {
				t.Fatal(s.Err)
			}
			if s.Result.Format != c.format || s.Result.CDROM != c.cdrom {
				t.Errorf("format is %q (CD-ROM %t), want %q (%t)", s.Result.Format, s.Result.CDROM, c.format, c.cdrom)
			}
			if s.Result.VirtualSize != int64(len(c.want)) || s.Result.SourceSize != int64(len(c.content)) {
				t.Errorf("virtual size %d of %d, source size %d of %d", s.Result.VirtualSize, len(c.want), s.Result.SourceSize, len(c.content))
			}
			if done := s.Progress; done.Done != int64(len(c.content)) || done.Total != done.Done {
				t.Errorf("progress ends at %d of %d", done.Done, done.Total)
			}
			same(t, stored(t, reg, job.Destination), c.want)
			if left := leftovers(t, o.Dir); len(left) > 0 {
				t.Errorf("%v are left of the download", left)
			}
		})
	}
}

func TestImportRefuses(t *testing.T) {
	raw := rawDisk(1, mib)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	body := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	only := func(network string) func(*importer.Options) {
		return func(o *importer.Options) {
			o.Egress = egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix(network)}}
		}
	}
	child := convert(t, raw, "-O", "vmdk")
	copy(child[512:], "parentFileNameHint=\"/etc/shadow\"\n")
	encrypted := convert(t, raw, "-O", "qcow2")
	encrypted[35] = 2
	backed := convert(t, raw, "-O", "qcow2")
	backed[15] = 200
	huge := convert(t, raw, "-O", "qcow2")
	huge[24] = 0x10
	packed := gz(t, raw)

	cases := map[string]struct {
		handler http.HandlerFunc
		edit    func(*importer.HTTPSource)
		options func(*importer.Options)
		want    error
		says    string
	}{
		"not found":          {handler: status(404), want: importer.ErrNotFound, says: "404"},
		"gone":               {handler: status(410), want: importer.ErrNotFound},
		"forbidden":          {handler: status(403), want: importer.ErrUnauthorized},
		"bad request":        {handler: status(400), want: importer.ErrUnreachable, says: "400"},
		"too many requests":  {handler: status(429), want: importer.ErrUnreachable, says: "429"},
		"failing inside":     {handler: status(500), want: importer.ErrUnreachable, says: "500"},
		"always failing":     {handler: status(503), want: importer.ErrUnreachable, says: "503"},
		"web page":           {handler: body([]byte("<!DOCTYPE html><html>Log in</html>")), want: importer.ErrNotDiskImage, says: "web page"},
		"empty":              {handler: body(nil), want: importer.ErrNotDiskImage, says: "empty"},
		"text":               {handler: body([]byte("hello\n")), want: importer.ErrNotDiskImage, says: "text"},
		"zeros":              {handler: body(make([]byte, mib)), want: importer.ErrNotDiskImage, says: "zeros"},
		"noise":              {handler: body(raw[1000:]), want: importer.ErrNotDiskImage, says: "unknown data"},
		"zip":                {handler: body([]byte("PK\x03\x04....")), want: importer.ErrNotDiskImage, says: "zip"},
		"vmdk descriptor":    {handler: body([]byte("# Disk DescriptorFile\n" + strings.Repeat(" ", 600))), want: importer.ErrUnsupported, says: "other files"},
		"vmdk cut off":       {handler: body(convert(t, raw, "-O", "vmdk")[:100]), want: importer.ErrNotDiskImage, says: "header"},
		"vmdk damaged":       {handler: body(convert(t, raw, "-O", "vmdk")[:600]), want: importer.ErrNotDiskImage},
		"vmdk with a parent": {handler: body(child), want: importer.ErrUnsupported, says: "difference"},
		"vmdk too large":     {handler: body(convert(t, raw, "-O", "vmdk")), options: func(o *importer.Options) { o.MaxVirtualSize = mib - 1 }, want: importer.ErrTooLarge},
		"vhdx damaged":       {handler: body(convert(t, raw, "-O", "vhdx")[:70000]), want: importer.ErrNotDiskImage},
		"qcow of version 1":  {handler: body([]byte("QFI\xfb\x00\x00\x00\x01")), want: importer.ErrUnsupported, says: "version 1"},
		"ova":                {handler: body(layer(t, file{name: "box.ovf"})), want: importer.ErrNotDiskImage, says: "OVA"},
		"git lfs pointer":    {handler: body([]byte("version https://git-lfs.github.com/spec/v1\n")), want: importer.ErrNotDiskImage, says: "LFS"},
		"script":             {handler: body([]byte("#!/bin/sh\nexit\n")), want: importer.ErrNotDiskImage, says: "script"},
		"bzip2":              {handler: body([]byte("BZh91AY&SY")), want: importer.ErrUnsupported, says: "bzip2"},
		"gzip twice":         {handler: body(gz(t, packed)), want: importer.ErrUnsupported, says: "gzip"},
		"gzip cut off":       {handler: body(packed[:len(packed)/2]), want: importer.ErrNotDiskImage, says: "damaged"},
		"gzip, a bit flips":  {handler: body(flip(packed, len(packed)-3)), want: importer.ErrNotDiskImage, says: "damaged"},
		"qcow2 with backing": {handler: body(backed), want: importer.ErrUnsupported, says: "backing file"},
		"qcow2 encrypted":    {handler: body(encrypted), want: importer.ErrUnsupported, says: "encrypted"},
		"qcow2 cut off":      {handler: body(convert(t, raw, "-O", "qcow2")[:300000]), want: importer.ErrNotDiskImage},
		"qcow2 only header":  {handler: body(encrypted[:50]), want: importer.ErrNotDiskImage},
		"qcow2 too large":    {handler: body(huge), want: importer.ErrTooLarge},
		"wrong sha256":       {handler: body(raw), edit: func(s *importer.HTTPSource) { s.SHA256 = strings.Repeat("0", 64) }, want: importer.ErrChecksum, says: "sha256"},
		"wrong md5":          {handler: body(raw), edit: func(s *importer.HTTPSource) { s.MD5 = strings.Repeat("0", 32) }, want: importer.ErrChecksum, says: "md5"},
		"wrong sha256, html": {handler: body([]byte("<html>")), edit: func(s *importer.HTTPSource) { s.SHA256 = strings.Repeat("0", 64) }, want: importer.ErrChecksum},
		"wrong sum, qcow2":   {handler: body(convert(t, raw, "-O", "qcow2")), edit: func(s *importer.HTTPSource) { s.SHA256 = strings.Repeat("0", 64) }, want: importer.ErrChecksum},
		"sha256 too short":   {handler: body(raw), edit: func(s *importer.HTTPSource) { s.SHA256 = "abc" }, want: importer.ErrInvalidSource},
		"other scheme":       {handler: body(raw), edit: func(s *importer.HTTPSource) { s.URL = "file:///etc/passwd" }, want: importer.ErrInvalidSource},
		"no host":            {handler: body(raw), edit: func(s *importer.HTTPSource) { s.URL = "http://" }, want: importer.ErrInvalidSource},
		"bad caBundle":       {handler: body(raw), edit: func(s *importer.HTTPSource) { s.CABundle = []byte("x") }, want: importer.ErrInvalidSource, says: "caBundle"},
		"nobody listens":     {handler: body(raw), edit: func(s *importer.HTTPSource) { s.URL = "http://127.0.0.1:1/x" }, want: importer.ErrUnreachable},
		"loopback":           {handler: body(raw), options: func(o *importer.Options) { o.Egress = egress.Policy{} }, want: importer.ErrForbiddenAddress},
		"redirect inwards":   {handler: redirect("http://127.0.0.2/"), options: only("127.0.0.1/32"), want: importer.ErrForbiddenAddress},
		"metadata service":   {handler: redirect("http://169.254.169.254/latest/meta-data/"), want: importer.ErrForbiddenAddress},
		"link-local IPv6":    {handler: redirect("http://[fe80::1]/"), want: importer.ErrForbiddenAddress},
		"mapped address":     {handler: redirect("http://[::ffff:169.254.169.254]/"), want: importer.ErrForbiddenAddress},
		"any address":        {handler: redirect("http://0.0.0.0/"), want: importer.ErrForbiddenAddress},
		"redirect for ever":  {handler: redirect("/again"), want: importer.ErrUnreachable, says: "redirects"},
		"too large":          {handler: body(raw), options: func(o *importer.Options) { o.MaxVirtualSize = mib / 2 }, want: importer.ErrTooLarge},
		"unpacks too large":  {handler: body(packed), options: func(o *importer.Options) { o.MaxVirtualSize = mib - 1 }, want: importer.ErrTooLarge},
		"endless":            {handler: endless, options: func(o *importer.Options) { o.MaxVirtualSize = mib }, want: importer.ErrTooLarge},
	}
	reg := dvcr(t).Client()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := loopback()
			o.Dir = t.TempDir()
			if c.options != nil {
				c.options(&o)
			}
			job := httpJob(listen(t, c.handler))
			if c.edit != nil {
				c.edit(job.Source.HTTP)
			}
			s := finishJob(t, newRunner(t, reg, o), job)
			if !errors.Is(s.Err, c.want) {
				t.Fatalf("failed with %v, want %v", s.Err, c.want)
			}
			if !strings.Contains(s.Err.Error(), c.says) {
				t.Errorf("the error does not speak of %q: %v", c.says, s.Err)
			}
			if !errors.Is(c.want, importer.ErrUnreachable) && len(leftovers(t, o.Dir)) > 0 {
				t.Errorf("%v are left of the download", leftovers(t, o.Dir))
			}
			repo, err := reg.Repository("vi/team/debian")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repo.Resolve(t.Context(), "v1"); err == nil {
				t.Error("a refused image has a tag")
			}
		})
	}
}

// endless sends data and never says how much.
func endless(w http.ResponseWriter, _ *http.Request) {
	block := rawDisk(1, 256<<10)
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x10
	return b
}

// TestImportRefusesBombs packs so many zeros that no honest image has as many.
func TestImportRefusesBombs(t *testing.T) {
	o := loopback()
	o.UnpackGrace = 32 * mib
	s := finishJob(t, newRunner(t, dvcr(t).Client(), o), httpJob(serve(t, bomb(t))))
	if !errors.Is(s.Err, importer.ErrTooLarge) || !strings.Contains(s.Err.Error(), "no honest image") {
		t.Errorf("failed with %v, want %v", s.Err, importer.ErrTooLarge)
	}
}

// bomb packs 48 MiB of zeros behind a boot sector.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(append(rawDisk(1, 4<<10), make([]byte, 48*mib)...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestImportOverTLS(t *testing.T) {
	raw := rawDisk(1, mib)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(raw))
	}))
	defer s.Close()
	s.Config.ErrorLog = nil
	reg := dvcr(t).Client()

	refused := finishJob(t, newRunner(t, reg, loopback()), httpJob(s.URL))
	if !errors.Is(refused.Err, importer.ErrUntrusted) || !strings.Contains(refused.Err.Error(), "caBundle") {
		t.Errorf("without the authority: %v, want %v", refused.Err, importer.ErrUntrusted)
	}
	job := httpJob(s.URL)
	job.Source.HTTP.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if trusted := finishJob(t, newRunner(t, reg, loopback()), job); trusted.Err != nil {
		t.Errorf("with the authority: %v", trusted.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

// TestErrorsKeepSecrets has a URL with a password and a signature.
func TestErrorsKeepSecrets(t *testing.T) {
	url := strings.Replace(listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }), "http://", "http://user:hunter2@", 1)
	for _, u := range []string{url + "?signature=hunter2", "http://user:hunter2@127.0.0.1:1/x?s=hunter2", "http://a b:hunter2@x/", "http://169.254.1.1/?s=hunter2"} {
		s := finishJob(t, newRunner(t, dvcr(t).Client(), loopback()), httpJob(u))
		if s.Err == nil || strings.Contains(s.Err.Error(), "hunter2") {
			t.Errorf("the error of %s is %v", u, s.Err)
		}
	}
}
