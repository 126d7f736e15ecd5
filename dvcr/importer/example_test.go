package importer_test

import (
	"context"
	"fmt"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
)

// A caller ensures a job whenever it hears of it, until the job has ended; a reconciler does so once for each event.
func ExampleRunner() {
	ctx := context.Background()
	dvcr := registry.NewClient("127.0.0.1:5000", registry.Credentials{Username: "slipway", Password: "secret"})
	runner := importer.NewRunner(dvcr, importer.Options{Dir: "downloads"})
	defer runner.Close()

	job := importer.Job{
		ID:          "cvi/debian",
		Source:      importer.Source{HTTP: &importer.HTTPSource{URL: "file:///not/over/http"}},
		Destination: "cvi/debian:7d1e",
	}
	state := runner.Ensure(ctx, job)
	for state.Phase == importer.Pending || state.Phase == importer.Running {
		<-runner.Events()
		state = runner.Ensure(ctx, job)
	}
	fmt.Println(state.Phase)
	// Output: Failed
}
