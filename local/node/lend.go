package node

import "fmt"

// Lend gives the file of a volume's disk to somebody who reads it, and keeps guests and copies away until release is called.
// The volume of a claim has the claim's UID as its ID. It fails with volume.ErrBusy while somebody else has the volume, and
// with volume.ErrNotFound when there is none.
func (n *Node) Lend(id string) (file string, release func(), err error) {
	if release, err = n.volumes.Reserve(id); err != nil {
		return "", nil, fmt.Errorf("lend a volume: %w", err)
	}
	if _, err := n.volumes.Get(id); err != nil {
		release()
		return "", nil, fmt.Errorf("lend a volume: %w", err)
	}
	return n.volumes.File(id), release, nil
}
