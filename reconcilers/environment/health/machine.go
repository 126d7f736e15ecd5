package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// dependencies are the conditions of a machine that hold only when what it
// refers to is ready.
var dependencies = []struct{ condition, what string }{
	{"VirtualMachineClassReady", "waits for its class"},
	{"BlockDevicesReady", "waits for its disks"},
	{"VirtualMachineIPAddressReady", "waits for its address"},
	{"VirtualMachineMACAddressReady", "waits for its MAC addresses"},
	{"ProvisioningReady", "waits for its first-boot data"},
	{"NetworkReady", "waits for its networks"},
}

// machine judges a VirtualMachine by what its run policy wants.
func machine(o object) Health {
	if h, bad := machineTrouble(o); bad {
		return h
	}
	policy := firstOf(o.text("spec", "runPolicy"), "AlwaysOnUnlessStoppedManually")
	switch phase := o.phase(); phase {
	case "Running":
		return runningMachine(o, policy)
	case "Stopped":
		return stoppedMachine(o, policy)
	case "Pause":
		return suspended("Paused", "is paused")
	case "Migrating":
		return o.moving(phase, describe("is Migrating", o.condition("Migrating")))
	default:
		return startingMachine(o, phase)
	}
}

// machineTrouble finds what nobody but people can cure.
func machineTrouble(o object) (Health, bool) {
	if c := o.condition("SizingPolicyMatched"); c.isFalse() {
		return degraded(c.reason, describe("has a size that its class does not allow", c)), true
	}
	running := o.condition("Running")
	if running.isFalse() && (running.reason == "InternalVirtualMachineError" || running.reason == "NoBootableDevice") {
		return degraded(running.reason, describe("cannot run", running)), true
	}
	if o.phase() == "Degraded" {
		return degraded(firstOf(running.reason, "Degraded"), describe("is Degraded", running)), true
	}
	return Health{}, false
}

func runningMachine(o object, policy string) Health {
	awaiting, applied := o.condition("AwaitingRestartToApplyConfiguration"), o.condition("ConfigurationApplied")
	changes := o.list("status", "restartAwaitingChanges")
	switch {
	case policy == "AlwaysOff":
		return o.moving("Running", "runs and is to be stopped")
	case awaiting.isTrue() || len(changes) > 0:
		return progressing(ReasonAwaitingRestart, describe("needs a restart for its changes to take effect", awaiting))
	case applied.isFalse():
		return o.moving(applied.reason, describe("runs with an older configuration", applied))
	default:
		return healthy("is Running")
	}
}

// stoppedMachine judges a machine that is off. Under AlwaysOn somebody is about
// to start it; under the other policies it is off because that is wanted: by the
// policy, or by people whose word counts.
func stoppedMachine(o object, policy string) Health {
	if policy == "AlwaysOn" {
		return startingMachine(o, "Stopped")
	}
	return healthy("is Stopped, as its run policy " + policy + " allows")
}

func startingMachine(o object, phase string) Health {
	for _, d := range dependencies {
		c := o.condition(d.condition)
		if c.isFalse() && c.reason != "WaitingForWaitForFirstConsumerBlockDevicesToBeReady" {
			return o.waiting(c, d.what)
		}
	}
	running := o.condition("Running")
	return o.moving(firstOf(phase, ReasonNotObserved), describe(phaseMessage(phase), running))
}

// kubevirtMachine judges KubeVirt's own VirtualMachine by its run strategy.
func kubevirtMachine(o object) Health {
	status := o.text("status", "printableStatus")
	switch status {
	case "Running":
		if c := o.condition("RestartRequired"); c.isTrue() {
			return progressing(ReasonAwaitingRestart, describe("needs a restart for its changes to take effect", c))
		}
		return healthy("is Running")
	case "Stopped":
		if wantsRunning(o) {
			return o.moving(status, "is Stopped and is to run")
		}
		return healthy("is Stopped, as its run strategy allows")
	case "Paused":
		return suspended(status, "is paused")
	case "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "ErrorPvcNotFound", "DataVolumeError", "Unschedulable", "ErrorUnschedulable":
		return degraded(status, describe("is "+status, o.condition("Ready")))
	default:
		return o.moving(firstOf(status, ReasonNotObserved), phaseMessage(status))
	}
}

func wantsRunning(o object) bool {
	running, _, _ := unstructured.NestedBool(o.u.Object, "spec", "running")
	return running || o.text("spec", "runStrategy") == "Always"
}

// kubevirtInstance judges KubeVirt's VirtualMachineInstance.
func kubevirtInstance(o object) Health {
	switch phase := o.phase(); phase {
	case "Running":
		if o.condition("Paused").isTrue() {
			return suspended("Paused", "is paused")
		}
		return healthy("is Running")
	case "Succeeded":
		return healthy("has ended")
	case "Failed":
		return degraded(firstOf(o.text("status", "reason"), phase), describe("is Failed", o.condition("Ready")))
	default:
		return o.moving(firstOf(phase, ReasonNotObserved), phaseMessage(phase))
	}
}
