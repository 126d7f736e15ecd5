// Package await asks again and again until something is so.
//
// In comes a question that also says what it saw; out goes nothing, or an error with the reason why the waiting ended and
// what was seen last. The package decides no time limit: that is the context's.
package await

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// askEvery is how often a question is asked.
const askEvery = 200 * time.Millisecond

// Until asks until the answer is yes.
func Until(ctx context.Context, what string, ask func(context.Context) (done bool, seen string)) error {
	var seen string
	err := wait.PollUntilContextCancel(ctx, askEvery, true, func(ctx context.Context) (bool, error) {
		var done bool
		done, seen = ask(ctx)
		return done, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w; last seen: %s", what, context.Cause(ctx), seen)
	}
	return nil
}
