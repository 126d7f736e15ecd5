package controlplane

import (
	"io"
	"time"
)

// DefaultControllers are the controllers of kube-controller-manager that the
// API server's own behavior depends on. The two protection controllers take
// off the finalizers that default admission puts on volumes and claims; the
// aggregation controller fills the built-in roles admin, edit and view.
var DefaultControllers = []string{
	"clusterrole-aggregation-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"persistentvolume-protection-controller",
	"persistentvolumeclaim-protection-controller",
	"resourcequota-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
}

// Config says what to run and where.
type Config struct {
	// Dir is the data directory. It is created when it does not exist.
	Dir string
	// Port is the API server's port on loopback; 0 takes the port of the last
	// start when it is free, any free one otherwise.
	Port int
	// Controllers are the names of the controllers to run; none when empty.
	Controllers []string
	// UnsafeNoFsync lets etcd answer before its data is on disk: faster, and
	// lost or broken when the machine stops. For tests.
	UnsafeNoFsync bool
	// RemoveDataOnExit deletes the data directory at the end, provided that it
	// was empty at the start.
	RemoveDataOnExit bool
	// Verbosity is the log level of the API server and the controllers.
	Verbosity int
	// Parent, when not nil, is read until it ends, and its end stops the
	// control plane. A pipe held by the starting process ends with it,
	// whichever way that process goes.
	Parent io.Reader
	// ParentPID is the process at the other end of Parent, for others to see.
	ParentPID int
	// OnReady is called once, when the API server answers.
	OnReady func(Ready)
}

// Ready describes a control plane that answers.
type Ready struct {
	// Version is the Kubernetes version that the API server reports.
	Version string `json:"version"`
	// Server is the API server's URL.
	Server string `json:"server"`
	// Kubeconfig is the path of the admin kubeconfig.
	Kubeconfig string `json:"kubeconfig"`
	// PID is the process.
	PID int `json:"pid"`
	// Startup is how long it took until the API server answered.
	Startup Duration `json:"startup"`
}

// Duration prints as text ("3.9s") in JSON.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).Round(time.Millisecond).String()), nil
}
