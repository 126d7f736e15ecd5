package importer

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
)

// Order is all that an importer in another process needs: the job, where DVCR is, and which addresses it may reach. It
// holds credentials.
type Order struct {
	Job Job `json:"job"`
	// Registry is DVCR's host and port, Username and Password the login, CABundle its authority in PEM.
	Registry string `json:"registry"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	CABundle []byte `json:"caBundle,omitempty"`
	// Allow are networks that sources may lie in besides public ones.
	Allow []netip.Prefix `json:"allow,omitempty"`
	// Owner is the UID of the object that the image is imported for; metrics carry it.
	Owner string `json:"owner,omitempty"`
}

// ReadOrder reads an order from a file.
func ReadOrder(path string) (Order, error) {
	var o Order
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		return Order{}, fmt.Errorf("read order: %w", err)
	}
	return o, nil
}
