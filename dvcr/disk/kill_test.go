package disk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"

	"slipway.dev/slipway/dvcr/disk"
)

// mortal is a target whose client dies at some byte that it sends: nothing that comes after arrives, and an upload that is cut
// off is not kept. It notes which packs were sent how often.
type mortal struct {
	oras.Target
	die func()

	mu    sync.Mutex
	left  int64 // bytes until death; negative: never
	dead  bool
	begun map[string]int
	done  map[string]bool
	again int64 // bytes sent of packs that were there
}

func (m *mortal) Push(ctx context.Context, d ocispec.Descriptor, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.MediaType == disk.PackMediaType {
		m.begun[d.Digest.String()]++
		if m.done[d.Digest.String()] {
			m.again += d.Size
		}
	}
	if m.left >= 0 {
		if m.left -= int64(len(b)); m.left < 0 {
			m.dead = true
			m.die()
		}
	}
	if m.dead {
		return context.Canceled
	}
	if d.MediaType == disk.PackMediaType {
		m.done[d.Digest.String()] = true
	}
	return m.Target.Push(ctx, d, bytes.NewReader(b))
}

// TestKilledPushGoesOn kills a push at each of 50 random moments and starts it again: no pack that arrived is sent again, and
// nothing but the packs that were on their way is sent twice.
func TestKilledPushGoesOn(t *testing.T) {
	const uploads = 2
	raw := makeContent(region{noise + 1, 5 * mib})
	o := disk.WithPacksOf(mib, disk.PushOptions{Uploads: uploads, Clock: instant{}})
	want := push(t, raw, memory.New(), "v1", o)
	random := rand.New(rand.NewPCG(50, 50))
	for kill := range kills {
		ctx, die := context.WithCancel(t.Context())
		target := &mortal{
			Target: memory.New(), die: die, left: random.Int64N(want.StoredSize + 8*kib),
			begun: map[string]int{}, done: map[string]bool{},
		}
		_, err := disk.Push(ctx, openStream(raw), target, "v1", o)
		died := target.dead
		if died != (err != nil) || died && !errors.Is(err, context.Canceled) {
			t.Fatalf("kill %d: died %t, Push returned %v", kill, died, err)
		}
		if died {
			if _, err := target.Resolve(t.Context(), "v1"); err == nil {
				t.Fatalf("kill %d: the tag leads to half a disk", kill)
			}
		}
		target.dead, target.left = false, -1
		got, err := disk.Push(t.Context(), openStream(raw), target, "v1", o)
		die()
		if err != nil || got.Digest != want.Digest {
			t.Fatalf("kill %d: the second push stored %s, %v, want %s", kill, got.Digest, err, want.Digest)
		}
		twice := 0
		for _, n := range target.begun {
			if n > 1 {
				twice++
			}
		}
		if target.again > 0 || twice > uploads {
			t.Fatalf("kill %d: %d packs were sent twice, %d bytes of packs that had arrived", kill, twice, target.again)
		}
	}
}
