package health

import (
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
)

// byKstatus judges kinds that have no rule of their own.
func byKstatus(o object) Health {
	result, err := status.Compute(o.u)
	if err != nil {
		return degraded("Unreadable", "its status cannot be read: "+err.Error())
	}
	switch result.Status {
	case status.CurrentStatus:
		return healthy(result.Message)
	case status.FailedStatus:
		return degraded("Failed", result.Message)
	default:
		return progressing(string(result.Status), result.Message)
	}
}
