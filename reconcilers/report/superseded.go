package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/oci"
)

// supersede writes the notes of commits that were overtaken before they settled.
// A commit stays in the history until its note is recorded there, so that a note
// that could not be written, or was and not recorded, is seen to by a later run.
func (r *reconciler) supersede(ctx context.Context, s *scope) flow.Outcome {
	for _, late := range overtaken(s.env.Spec.SourceRef.Kind, s.env.Status.History) {
		health, err := r.noteOvertaken(ctx, s, late)
		if err != nil {
			return failed(ctx, s.env, err)
		}
		s.overtaken[late.revision] = health
		flow.Emit(ctx, v1alpha1.ReportedReason, "%s on %s", health, late.revision)
	}
	return flow.Done()
}

// noteOvertaken leaves the note as it is when it tells of this Environment: then
// the commit had settled, and that was not recorded.
func (r *reconciler) noteOvertaken(ctx context.Context, s *scope, v verdict) (string, error) {
	told := ""
	err := r.rewrite(ctx, s.env, v.revision, func(note []byte) ([]byte, error) {
		if told = healthIn(note, s.env); told != "" {
			return nil, nil
		}
		told = v.health
		return merge(note, entryOf(s.env, v), s.now)
	})
	return told, err
}

// overtaken lists the revisions of a history that were followed by another one
// before their commits got a note, the oldest first. One that came back, by a
// forced push, is not overtaken.
func overtaken(source string, history []v1alpha1.HistoryEntry) []verdict {
	var found []verdict
	newer := map[string]bool{}
	for i, entry := range history {
		if i > 0 && isRevision(source, entry.Revision) && entry.Reported == "" && !newer[entry.Revision] {
			found = append([]verdict{supersededBy(history[i-1], entry)}, found...)
		}
		newer[entry.Revision] = true
	}
	return found
}

// isRevision tells whether a text names a revision of a kind of source. One of
// another kind is left from before the source was replaced.
func isRevision(source, text string) bool {
	var err error
	if source == v1alpha1.OCIRepositoryKind {
		_, err = oci.ParseRevision(text)
	} else {
		_, err = git.ParseRevision(text)
	}
	return err == nil
}

func supersededBy(next, entry v1alpha1.HistoryEntry) verdict {
	v := verdict{
		revision: entry.Revision, health: Superseded, reason: entry.Outcome, by: next.Revision,
		message: fmt.Sprintf("%s came before this commit had settled", next.Revision),
	}
	if entry.Applied == nil {
		v.message += "; it was not applied in full"
	}
	return v
}

// deniedRetry is how long a registry that does not let us write is left alone.
const deniedRetry = time.Hour

// failed ends a run that could not report. What only other credentials can cure is
// not tried again and again.
func failed(ctx context.Context, env *v1alpha1.Environment, err error) flow.Outcome {
	warnOnce(ctx, env, err)
	if errors.Is(err, oci.ErrAuth) {
		return flow.Wait(v1alpha1.ReportFailedReason, deniedRetry, "%s; give the credentials of OCIRepository %s the right to push, or leave it: the health stands in this status, too", err, env.Spec.SourceRef.Name)
	}
	return flow.Fail(v1alpha1.ReportFailedReason, err)
}

// warnOnce tells of a failure when it is new.
func warnOnce(ctx context.Context, env *v1alpha1.Environment, err error) {
	news := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReportedCondition)
	if news == nil || news.Reason != v1alpha1.ReportFailedReason {
		flow.Warn(ctx, v1alpha1.ReportFailedReason, "%s", err)
	}
}

// recordNotes writes into the history what the notes of its commits tell.
func recordNotes(s *scope) {
	for i := range s.env.Status.History {
		entry := &s.env.Status.History[i]
		if health, told := s.overtaken[entry.Revision]; told {
			entry.Reported = health
		}
		if s.pushed && entry.Revision == s.verdict.revision {
			entry.Reported = s.entry.Health
		}
	}
}
