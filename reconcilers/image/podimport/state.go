package podimport

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// stateOf is the state that a pod tells of; progress is what its metrics said last.
func stateOf(pod *corev1.Pod, progress importer.Progress) importer.State {
	switch pod.Status.Phase {
	case corev1.PodSucceeded, corev1.PodFailed:
		return ended(pod, progress)
	case corev1.PodRunning:
		return importer.State{Phase: importer.Running, Progress: progress}
	}
	if err := startProblem(pod); err != nil {
		return importer.State{Phase: importer.Failed, Err: err}
	}
	return importer.State{Phase: importer.Pending}
}

// ended reads the report of a pod that has ended. One that was evicted, or killed for its memory, leaves none.
func ended(pod *corev1.Pod, progress importer.Progress) importer.State {
	reason := pod.Status.Reason
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated == nil {
			continue
		}
		if report, err := importer.DecodeReport([]byte(c.State.Terminated.Message)); err == nil {
			state := report.State()
			state.Progress = progress
			return state
		}
		reason = c.State.Terminated.Reason
	}
	return importer.State{
		Phase: importer.Failed, Progress: progress,
		Err: fmt.Errorf("%w: pod %s/%s ended without a report (%s)", importer.ErrUnreachable, pod.Namespace, pod.Name, reason),
	}
}

// startProblem is why a pod cannot start, as long as it may not by itself.
func startProblem(pod *corev1.Pod) error {
	for _, c := range pod.Status.ContainerStatuses {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
			return fmt.Errorf("%w: image %s of pod %s/%s: %s: %s", intake.ErrImagePull, c.Image, pod.Namespace, pod.Name, w.Reason, w.Message)
		case "CreateContainerConfigError", "CreateContainerError":
			return fmt.Errorf("%w: pod %s/%s does not start: %s: %s", importer.ErrRegistry, pod.Namespace, pod.Name, w.Reason, w.Message)
		}
	}
	return nil
}
