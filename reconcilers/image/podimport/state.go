package podimport

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"slipway.dev/slipway/dvcr/importer"
)

// stateOf is the state that a pod tells of; progress is what its metrics said last.
func stateOf(pod *corev1.Pod, progress importer.Progress) importer.State {
	switch pod.Status.Phase {
	case corev1.PodSucceeded, corev1.PodFailed:
		return ended(pod, progress)
	case corev1.PodRunning:
		return importer.State{Phase: importer.Running, Progress: progress}
	}
	if problem := startProblem(pod); problem != "" {
		return importer.State{Phase: importer.Failed, Err: fmt.Errorf("%w: pod %s/%s does not start: %s", importer.ErrRegistry, pod.Namespace, pod.Name, problem)}
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
func startProblem(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			switch w.Reason {
			case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError":
				return w.Reason + ": " + w.Message
			}
		}
	}
	return ""
}
