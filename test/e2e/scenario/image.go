package scenario

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Mebibyte is one.
const Mebibyte = 1 << 20

// Import is an image that is on its way into DVCR, from a server that holds it up in its middle.
type Import struct {
	demo    *Demo
	name    string
	release func()
}

// Release lets the rest of the image go.
func (i *Import) Release() { i.release() }

// Arrives waits until the image is there.
func (i *Import) Arrives(t *testing.T) { i.demo.ImageReady(t, i.name) }

// IsTold waits until a condition of the image has all the words.
func (i *Import) IsTold(t *testing.T, says ...string) { i.demo.IsTold(t, Image, i.name, says...) }

// Import pushes an image of a size in bytes, and returns when it is held up in its middle.
func (f *Far) Import(t *testing.T, name string, size int) *Import {
	t.Helper()
	server := newImageServer(t, size)
	url := f.Expose(t, server.URL) + "/" + name + ".raw"
	f.repository.Write(t, name+".yaml", strings.ReplaceAll(imageManifest(url, ""), "NAME", name))
	f.repository.Push(t, "Import "+name)
	select {
	case <-server.reached:
	case <-time.After(Patience):
		t.Fatalf("nobody asked for the image %s within %s", name, Patience)
	}
	return &Import{demo: f.Demo, name: name, release: sync.OnceFunc(func() { close(server.gate) })}
}

// Fill pushes a disk made from an image, by the image's name, of a StorageClass that waits for no machine.
func (f *Far) Fill(t *testing.T, name, class string) {
	t.Helper()
	manifest := strings.ReplaceAll(diskManifest(name, "64Mi\n    storageClassName: "+class), "NAME", name)
	f.repository.Write(t, name+"-disk.yaml", manifest)
	f.repository.Push(t, "Make a disk of "+name)
}

// DiskReady waits until a disk is.
func (f *Far) DiskReady(t *testing.T, name string) {
	t.Helper()
	Eventually(t, Patience, "VirtualDisk "+name+" is ready", func(ctx context.Context) error {
		disk, err := read(ctx, f.Client, name, &v1alpha2.VirtualDisk{})
		if err == nil && disk.Status.Phase != v1alpha2.DiskReady {
			err = fmt.Errorf("phase %s: %+v", disk.Status.Phase, disk.Status.Conditions)
		}
		return err
	})
}

// ServerFellSilent is the end of an import whose server fell silent in its middle long ago: the user was told, and the import
// goes on when the server speaks again.
func (i *Import) ServerFellSilent(t *testing.T) {
	i.IsTold(t, "ProvisioningFailed", "/"+i.name+".raw", "no data arrived in time")
	i.Release()
	i.Arrives(t)
}

// imageServer serves one image, of a disk that cannot be compressed. Its first answer stops in the middle until the gate is
// opened; what is asked for meanwhile waits there.
type imageServer struct {
	*httptest.Server
	reached chan struct{} // closed when the first answer has come to its middle
	gate    chan struct{}
}

func newImageServer(t *testing.T, size int) *imageServer {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size >> 20)}).Read(content)
	copy(content, "LUKS\xba\xbe") // an encrypted disk
	i := &imageServer{reached: make(chan struct{}), gate: make(chan struct{})}
	var first sync.Once
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isFirst := false
		first.Do(func() { isFirst = true })
		if isFirst {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			w.Header().Set("Accept-Ranges", "bytes")
			_, _ = w.Write(content[:size/2])
			_ = http.NewResponseController(w).Flush()
			close(i.reached)
			if i.waits(r) {
				_, _ = w.Write(content[size/2:])
			}
			return
		}
		if i.waits(r) {
			http.ServeContent(w, r, "disk.raw", time.Unix(0, 0), bytes.NewReader(content))
		}
	}))
	t.Cleanup(i.Close)
	return i
}

// waits says whether the gate was opened before the client gave up.
func (i *imageServer) waits(r *http.Request) bool {
	select {
	case <-i.gate:
		return true
	case <-r.Context().Done():
		return false
	}
}
