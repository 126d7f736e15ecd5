package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"sync"

	"slipway.dev/slipway/local/node/volume"
)

// ports gives each machine a loopback port, the same one whenever it is free.
type ports struct {
	file string
	mu   sync.Mutex
	kept map[string]int
}

func openPorts(file string) (*ports, error) {
	p := &ports{file: file, kept: map[string]int{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ports: %w", err)
	}
	if err := json.Unmarshal(data, &p.kept); err != nil {
		return nil, fmt.Errorf("read ports %s: %w", file, err)
	}
	return p, nil
}

// take returns a free port for the machine and remembers it.
func (p *ports) take(machine string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if port, ok := p.kept[machine]; ok && free(port) {
		return port, nil
	}
	port, err := p.unused()
	if err != nil {
		return 0, err
	}
	p.kept[machine] = port
	if err := volume.WriteJSON(p.file, p.kept); err != nil {
		return 0, fmt.Errorf("remember port of %s: %w", machine, err)
	}
	return port, nil
}

// unused asks the kernel for a port that no machine has been given.
func (p *ports) unused() (int, error) {
	given := map[int]bool{}
	for _, port := range p.kept {
		given[port] = true
	}
	const attempts = 64
	for range attempts {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		address, _ := listener.Addr().(*net.TCPAddr)
		_ = listener.Close()
		if address != nil && !given[address.Port] {
			return address.Port, nil
		}
	}
	return 0, errors.New("find a free port: all that the kernel offers belong to other machines")
}

// forget frees the port of a machine that is gone for good.
func (p *ports) forget(machine string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.kept[machine]; !ok {
		return nil
	}
	delete(p.kept, machine)
	return volume.WriteJSON(p.file, p.kept)
}

func free(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}
