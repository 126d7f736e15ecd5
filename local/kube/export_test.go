package kube

import "context"

// StartAssets starts the separate programs, wherever else a control plane is.
func StartAssets(ctx context.Context, o Options) (*ControlPlane, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	found, err := inAssets(ctx, o)
	if err != nil {
		return nil, err
	}
	return run(ctx, o, found)
}
