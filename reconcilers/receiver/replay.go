package receiver

import (
	"crypto/sha256"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

const (
	// replayWindow is how long a delivery is remembered.
	replayWindow = 10 * time.Minute
	// deliveries is how many are remembered.
	deliveries = 10_000
)

// unique are the senders whose bodies are never the same twice. What others send
// may well be, and says something new.
var unique = map[v1alpha1.ReceiverType]bool{
	v1alpha1.GitHubReceiver: true, v1alpha1.GiteaReceiver: true, v1alpha1.ForgejoReceiver: true, v1alpha1.BitbucketReceiver: true,
	v1alpha1.GitLabReceiver: true, v1alpha1.HarborReceiver: true,
}

// delivery names a request by what its sender vouched for: the header with the
// number of a delivery is not signed, its body is.
type delivery [sha256.Size]byte

func deliveryOf(path string, body []byte) delivery {
	return sha256.Sum256(append([]byte(path+"\n"), body...))
}

// memory remembers deliveries that were acted on.
type memory struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	seen  map[delivery]time.Time
	order []delivery
}

func newMemory(c clock.PassiveClock) *memory {
	return &memory{clock: c, seen: map[delivery]time.Time{}}
}

// knows tells whether a delivery was acted on within the window.
func (m *memory) knows(d delivery) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	_, found := m.seen[d]
	return found
}

// remember notes a delivery that was acted on.
func (m *memory) remember(d delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	if _, found := m.seen[d]; found {
		return
	}
	m.seen[d] = m.clock.Now()
	m.order = append(m.order, d)
}

// forget drops what is older than the window, or too much.
func (m *memory) forget() {
	for len(m.order) > 0 && (len(m.order) >= deliveries || m.clock.Since(m.seen[m.order[0]]) > replayWindow) {
		delete(m.seen, m.order[0])
		m.order = m.order[1:]
	}
}
