package report

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
)

// supersede writes the notes of commits that were overtaken before they settled.
// A commit stays in the history until its note is recorded there, so that a note
// that could not be written, or was and not recorded, is seen to by a later run.
func (r *reconciler) supersede(ctx context.Context, s *scope) flow.Outcome {
	for _, late := range overtaken(s.env.Status.History) {
		health, err := r.noteOvertaken(ctx, s, late)
		if err != nil {
			warnOnce(ctx, s.env, err)
			return flow.Fail(v1alpha1.ReportFailedReason, err)
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
func overtaken(history []v1alpha1.HistoryEntry) []verdict {
	var found []verdict
	newer := map[string]bool{}
	for i, entry := range history {
		_, err := git.ParseRevision(entry.Revision)
		if i > 0 && err == nil && entry.Reported == "" && !newer[entry.Revision] {
			found = append([]verdict{supersededBy(history[i-1], entry)}, found...)
		}
		newer[entry.Revision] = true
	}
	return found
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
