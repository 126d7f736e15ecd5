package report

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/source"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/oci"
)

// Name of the controller.
const Name = "report"

// NotesRef is where notes are kept: `git log --notes=slipway` shows them.
const NotesRef = "refs/notes/slipway"

// How long a report that fails is left alone: twice as long each time, within
// these bounds.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 5 * time.Minute
)

// Notes reads and writes the notes of commits. *notes.Notes is one.
type Notes interface {
	// Append makes text the note of the commit.
	Append(ctx context.Context, remote git.Remote, ref, commit string, text []byte) error
	// Read returns the note of the commit, or git.ErrNotFound.
	Read(ctx context.Context, remote git.Remote, ref, commit string) ([]byte, error)
}

// Deps are what the controller needs besides the manager.
type Deps struct {
	// Notes of the commits.
	Notes Notes
	// Registries of the bundles.
	Registries *oci.Client
	// Clock; nil is the real one.
	Clock clock.PassiveClock
	// Metrics of the steps; may be nil.
	Metrics *flow.Metrics
}

type reconciler struct {
	// reader of the GitOps kinds, cached.
	reader client.Reader
	// secrets are read from the API server.
	secrets client.Reader
	notes   Notes
	// registries that bundles come from.
	registries *oci.Client
	clock      clock.PassiveClock
}

// scope is what one run observed. Only Report writes the Environment.
type scope struct {
	env *v1alpha1.Environment
	now time.Time
	// verdict and entry say what there is to report. Set by decide.
	verdict verdict
	entry   entry
	digest  string
	// nothing says that there is nothing to report yet.
	nothing bool
	// overtaken revisions and the health that their notes tell. Set by supersede.
	overtaken map[string]string
	// pushed says that the note stands on the commit. Set by push.
	pushed bool
}

func (r *reconciler) definition() flow.Definition[*v1alpha1.Environment, *scope] {
	return flow.Definition[*v1alpha1.Environment, *scope]{
		Name: Name,
		New:  func() *v1alpha1.Environment { return &v1alpha1.Environment{} },
		Scope: func(env *v1alpha1.Environment) *scope {
			return &scope{env: env, now: r.clock.Now(), overtaken: map[string]string{}}
		},
		Steps:  []flow.Step[*scope]{{Name: "accept", Do: accept}, {Name: "supersede", Do: r.supersede}, {Name: "decide", Do: decide}, {Name: "push", Do: r.push}},
		Report: report,
	}
}

// accept leaves alone what comes from Flux's sources: the credentials for where it came from are theirs.
func accept(_ context.Context, s *scope) flow.Outcome {
	if s.env.Spec.SourceRef.IsFlux() {
		s.nothing = true
		return flow.Wait(v1alpha1.NothingToReportReason, 0, "the source is Flux's")
	}
	return flow.Done()
}

// decide finds out whether there is something new to say.
func decide(_ context.Context, s *scope) flow.Outcome {
	v, settled := verdictOf(s.env)
	if !settled {
		s.nothing = true
		return flow.Wait(v1alpha1.NothingToReportReason, 0, "the revision has not settled")
	}
	if rest := v.quiet - s.now.Sub(v.since); rest > 0 {
		s.nothing = true
		return flow.Wait(v1alpha1.NothingToReportReason, rest, "the revision has just settled")
	}
	s.verdict, s.entry = v, entryOf(s.env, v)
	digest, err := s.entry.digest()
	if err != nil {
		return flow.Fail(v1alpha1.ReportFailedReason, err)
	}
	s.digest = digest
	return flow.Done()
}

// push writes the health unless it was written before.
func (r *reconciler) push(ctx context.Context, s *scope) flow.Outcome {
	if last := s.env.Status.Report; last != nil && last.Digest == s.digest {
		s.pushed = true
		return flow.Done()
	}
	err := r.rewrite(ctx, s.env, s.verdict.revision, func(note []byte) ([]byte, error) { return merge(note, s.entry, s.now) })
	if err != nil {
		return failed(ctx, s.env, err)
	}
	s.pushed = true
	flow.Emit(ctx, v1alpha1.ReportedReason, "%s on %s", s.entry.Health, s.verdict.revision)
	return flow.Done()
}

// rewrite changes what is told of a revision. No change is written when change
// returns none.
func (r *reconciler) rewrite(ctx context.Context, env *v1alpha1.Environment, of string, change func(note []byte) ([]byte, error)) error {
	on, err := r.boardOf(ctx, env, of)
	if err != nil {
		return err
	}
	before, err := on.read(ctx)
	if err != nil {
		return err
	}
	text, err := change(before)
	if err != nil || text == nil {
		return err
	}
	return on.write(ctx, text, r.clock.Now())
}

func (r *reconciler) remoteOf(ctx context.Context, env *v1alpha1.Environment) (git.Remote, error) {
	repo := &v1alpha1.GitRepository{}
	name := client.ObjectKey{Namespace: env.Namespace, Name: env.Spec.SourceRef.Name}
	if err := r.reader.Get(ctx, name, repo); err != nil {
		return git.Remote{}, fmt.Errorf("get GitRepository %s: %w", name, err)
	}
	return source.RemoteOf(ctx, r.secrets, repo)
}

// report writes the condition Reported, and what was reported.
func report(s *scope, result flow.Result) {
	recordNotes(s)
	conditions := flow.Conditions{List: &s.env.Status.Conditions, Generation: s.env.Generation, Now: s.now}
	switch {
	case s.nothing && len(s.overtaken) > 0:
		conditions.True(v1alpha1.ReportedCondition, v1alpha1.ReportedReason, "the commits that were overtaken are noted")
	case s.nothing:
	case !s.pushed:
		conditions.False(v1alpha1.ReportedCondition, result.Outcome.Reason(), result.Outcome.Message())
	default:
		conditions.True(v1alpha1.ReportedCondition, v1alpha1.ReportedReason, s.entry.Health+" is noted on "+s.verdict.revision)
		if last := s.env.Status.Report; last == nil || last.Digest != s.digest {
			s.env.Status.Report = &v1alpha1.ReportStatus{
				Revision: s.verdict.revision, Health: s.entry.Health, Digest: s.digest, Time: metav1.NewTime(s.now),
			}
		}
	}
}

// newsworthy lets through changes of what a report is made from. An Environment is
// written for other reasons, too, such as a request that was answered.
func newsworthy() predicate.Funcs {
	told := func(o client.Object) v1alpha1.Environment {
		env := o.(*v1alpha1.Environment)
		return v1alpha1.Environment{
			ObjectMeta: metav1.ObjectMeta{UID: env.UID, Generation: env.Generation},
			Status: v1alpha1.EnvironmentStatus{
				ObservedGeneration: env.Status.ObservedGeneration, Conditions: env.Status.Conditions, Health: env.Status.Health,
				LastAttemptedRevision: env.Status.LastAttemptedRevision, LastAppliedRevision: env.Status.LastAppliedRevision,
				History: env.Status.History, Report: env.Status.Report,
			},
		}
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(told(e.ObjectOld), told(e.ObjectNew))
	}}
}

// SetupWithManager starts the controller with the manager. One Environment is
// reported on at a time, because several may write the note of one commit.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Clock == nil {
		deps.Clock = clock.RealClock{}
	}
	r := &reconciler{reader: mgr.GetClient(), secrets: mgr.GetAPIReader(), notes: deps.Notes, registries: deps.Registries, clock: deps.Clock}
	engine := flow.New(r.definition(), flow.Deps{
		Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("slipway-" + Name), Clock: deps.Clock, Metrics: deps.Metrics,
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.Environment{}, builder.WithPredicates(newsworthy())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 1,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		Complete(engine)
	if err != nil {
		return fmt.Errorf("set up the %s controller: %w", Name, err)
	}
	return nil
}
