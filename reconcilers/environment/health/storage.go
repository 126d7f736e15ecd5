package health

// failures are reasons of the condition Ready of disks and images that need
// somebody, also while the phase still says that work goes on.
var failures = map[string]bool{
	"ProvisioningFailed":              true,
	"ProvisioningFailedTerminally":    true,
	"ImagePullFailed":                 true,
	"QuotaExceeded":                   true,
	"StorageClassProvisionerMismatch": true,
	"WaitForUserUploadTimeout":        true,
	"ImageLost":                       true,
	"PVCLost":                         true,
}

// image judges VirtualImage and ClusterVirtualImage.
func image(o object) Health {
	switch phase := o.phase(); phase {
	case "Ready":
		return healthy("is Ready")
	case "Failed", "ImageLost", "PVCLost":
		return lost(o, phase)
	case "WaitForUserUpload":
		return suspended(phase, describe("waits for an upload", o.condition("Ready")))
	default:
		return provisioning(o)
	}
}

// disk judges VirtualDisk. A disk that waits for its first consumer is healthy
// here; Judge knows whether a consumer is declared.
func disk(o object) Health {
	switch phase := o.phase(); phase {
	case "Ready":
		return healthy("is Ready")
	case "WaitForFirstConsumer":
		return Health{State: Healthy, Reason: phase, Message: "is made when a machine uses it"}
	case "Failed", "PVCLost":
		return lost(o, phase)
	case "WaitForUserUpload":
		return suspended(phase, describe("waits for an upload", o.condition("Ready")))
	case "Resizing":
		return o.moving(phase, describe("is Resizing", o.condition("Resizing")))
	case "Migrating":
		return o.moving(phase, describe("is Migrating", o.condition("Migrating")))
	default:
		return provisioning(o)
	}
}

func lost(o object, phase string) Health {
	ready := o.condition("Ready")
	return degraded(firstOf(ready.reason, phase), describe("is "+phase, ready))
}

// provisioning judges a disk or an image whose content is on its way. How far it
// is stands in its own status; repeating it here would cost a write per percent.
func provisioning(o object) Health {
	ready, source := o.condition("Ready"), o.condition("DatasourceReady")
	if ready.isFalse() && failures[ready.reason] {
		return degraded(ready.reason, describe("cannot be made", ready))
	}
	if source.isFalse() {
		return o.waiting(source, "waits for its source")
	}
	return o.moving(firstOf(ready.reason, o.phase(), ReasonNotObserved), phaseMessage(o.phase()))
}

// waiting judges an object that needs another one: for a while that is normal.
func (o object) waiting(c condition, what string) Health {
	message := describe(what, c)
	if c.since.IsZero() {
		return progressing(c.reason, message)
	}
	deadline := c.since.Add(DependencyLimit)
	if !o.now.Before(deadline) {
		return degraded(ReasonDependency, message)
	}
	h := progressing(c.reason, message)
	h.Deadline = deadline
	return h
}

// dataVolume judges CDI's DataVolume.
func dataVolume(o object) Health {
	running := o.condition("Running")
	switch phase := o.phase(); phase {
	case "Succeeded":
		return healthy("is Succeeded")
	case "Failed":
		return degraded(firstOf(running.reason, phase), describe("is Failed", running))
	case "Paused":
		return suspended(phase, "is Paused")
	case "WaitForFirstConsumer", "PendingPopulation":
		return Health{State: Healthy, Reason: phase, Message: "is made when somebody uses it"}
	default:
		if running.isFalse() && running.reason == "Error" {
			return degraded(running.reason, describe("cannot be filled", running))
		}
		return o.moving(firstOf(phase, ReasonNotObserved), phaseMessage(phase))
	}
}
