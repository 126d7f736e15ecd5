package s3

import (
	"errors"
	"fmt"
	"net/url"

	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws" // the driver that Storage names

	"slipway.dev/slipway/dvcr/registry"
)

// DefaultRegion is what requests are signed for when no region is given; most servers that are not Amazon's take it.
const DefaultRegion = "us-east-1"

var (
	errNoBucket = errors.New("no bucket is given")
	errEndpoint = errors.New("an S3 endpoint is a URL such as https://s3.example.com")
)

// Bucket names a bucket.
type Bucket struct {
	Name string
	// Region empty means DefaultRegion.
	Region string
	// Endpoint is the URL of a server that is not Amazon's. Its buckets are addressed by path, not by host.
	Endpoint string
	// Prefix stands before the key of each object, so that a bucket can hold more than the registry.
	Prefix string
}

// Storage returns what the registry keeps its blobs in.
func (b Bucket) Storage() (*registry.Storage, error) {
	if b.Name == "" {
		return nil, errNoBucket
	}
	if b.Region == "" {
		b.Region = DefaultRegion
	}
	parameters := map[string]any{"bucket": b.Name, "region": b.Region, "rootdirectory": b.Prefix}
	if b.Endpoint != "" {
		u, err := url.Parse(b.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, fmt.Errorf("%q: %w", b.Endpoint, errEndpoint)
		}
		parameters["regionendpoint"] = b.Endpoint
		parameters["forcepathstyle"] = true
	}
	return &registry.Storage{Driver: "s3", Parameters: parameters}, nil
}
