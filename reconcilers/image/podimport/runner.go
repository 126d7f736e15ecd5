package podimport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// Options of a Runner.
type Options struct {
	// Client reads pods from a cache, and writes.
	Client client.Client
	// Namespace is where pods run that read no volume.
	Namespace string
	// Template names the PodTemplate in Namespace whose one container is an image with slipway-dvcr and its resources, and
	// which says where importer pods may run.
	Template string
	// Registry is DVCR as pods reach it, and its authority in PEM.
	Registry  string
	Authority []byte
	// Login is what may fill a repository; it should do no more.
	Login func(repository string) intake.Login
	// Egress says which addresses sources may lie at.
	Egress egress.Policy
	// Local runs what needs no pod: uploads, and copies inside of DVCR.
	Local intake.Runner
	// Clock is nil for the real one.
	Clock clock.PassiveClock
	// Scrape reads a running pod's progress; nil means from its metrics.
	Scrape func(ctx context.Context, pod *corev1.Pod) (importer.Progress, error)
}

// Runner runs imports in pods. It is an intake.Runner.
type Runner struct {
	options Options
	events  chan string

	mu       sync.Mutex
	progress map[types.UID]importer.Progress // of pods
	given    map[types.UID]bool              // pods that are given up, which the cache may still show
	known    map[types.NamespacedName]known
}

// known is what is remembered of a pod while the cache shows it.
type known struct {
	uid     types.UID
	job     string    // to tell of its end
	endSeen time.Time // zero while it runs
}

// NewRunner returns a runner. SetupWithManager lets it hear of its pods.
func NewRunner(o Options) *Runner {
	if o.Scrape == nil {
		o.Scrape = newScraper().scrape
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return &Runner{options: o, events: make(chan string), progress: map[types.UID]importer.Progress{}, given: map[types.UID]bool{}, known: map[types.NamespacedName]known{}}
}

const (
	callTimeout = 20 * time.Second
	scrapeEvery = time.Second
	// keepEnded is how long the report of an import that went well can be read, from when this process could first read it.
	keepEnded = 30 * time.Second
)

// Pods selects importer pods: a cache needs to hold no others for this package.
func Pods() labels.Selector { return labels.SelectorFromSet(labels.Set{appLabel: appName}) }

// SetupWithManager watches importer pods.
func (r *Runner) SetupWithManager(mgr ctrl.Manager) error {
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetLabels()[appLabel] == appName && o.GetLabels()[idLabel] != "" })
	err := ctrl.NewControllerManagedBy(mgr).Named("importerpod").For(&corev1.Pod{}, builder.WithPredicates(ours)).Complete(r)
	if err == nil && r.options.Local != nil {
		err = mgr.Add(forward{r})
	}
	if err != nil {
		return fmt.Errorf("watch importer pods: %w", err)
	}
	return nil
}

// forward passes on the events of the local runner.
type forward struct{ *Runner }

// Start implements manager.Runnable.
func (f forward) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id, open := <-f.options.Local.Events():
			if !open {
				return nil
			}
			f.tell(ctx, id)
		}
	}
}

func (r *Runner) tell(ctx context.Context, id string) {
	select {
	case r.events <- id:
	case <-ctx.Done():
	}
}

// Events implements intake.Runner.
func (r *Runner) Events() <-chan string { return r.events }

// Reconcile reads what a pod tells, and says that its job has changed.
func (r *Runner) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	pod := &corev1.Pod{}
	err := r.options.Client.Get(ctx, req.NamespacedName, pod)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("get importer pod %s: %w", req, err)
	}
	if id := r.idOf(req.NamespacedName, pod); id != "" {
		defer r.tell(ctx, id)
	}
	if !pod.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		return r.retire(ctx, pod), nil
	case corev1.PodRunning:
	default:
		return ctrl.Result{}, nil
	}
	p, err := r.options.Scrape(ctx, pod)
	if err != nil { // a pod that has just begun, or ended
		log.FromContext(ctx).V(1).Info("the importer does not tell its progress", "error", err.Error())
		return ctrl.Result{RequeueAfter: scrapeEvery}, nil
	}
	r.mu.Lock()
	r.progress[pod.UID] = p
	r.mu.Unlock()
	return ctrl.Result{RequeueAfter: scrapeEvery}, nil
}

// retire gives up a pod some time after it has brought its image, also when nobody remembers its job.
func (r *Runner) retire(ctx context.Context, pod *corev1.Pod) ctrl.Result {
	if left := keepEnded - r.options.Clock.Since(r.endSeen(pod)); left > 0 {
		return ctrl.Result{RequeueAfter: left}
	}
	r.giveUp(ctx, pod)
	return ctrl.Result{}
}

// endSeen is when this process first saw that a pod had ended.
func (r *Runner) endSeen(pod *corev1.Pod) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.known[client.ObjectKeyFromObject(pod)]
	if k.endSeen.IsZero() {
		k.endSeen = r.options.Clock.Now()
		r.known[client.ObjectKeyFromObject(pod)] = k
	}
	return k.endSeen
}

// idOf is the job of a pod; of one that is gone it is told once, and then nothing is remembered.
func (r *Runner) idOf(key types.NamespacedName, pod *corev1.Pod) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.known[key]
	if pod.UID == "" || k.uid != pod.UID {
		delete(r.known, key)
		delete(r.given, k.uid)
		delete(r.progress, k.uid)
	}
	if pod.UID == "" {
		return k.job
	}
	if k.uid != pod.UID {
		k = known{uid: pod.UID, job: pod.Annotations[jobMark]}
		r.known[key] = k
	}
	return k.job
}

func local(job importer.Job) bool { return job.Source.Upload != nil || job.Source.Artifact != nil }

// Ensure implements intake.Runner.
func (r *Runner) Ensure(ctx context.Context, job importer.Job) importer.State {
	if r.options.Local != nil && local(job) {
		return r.options.Local.Ensure(ctx, job)
	}
	order, digest, err := r.encode(job)
	if err != nil {
		return failed(err)
	}
	pod := &corev1.Pod{}
	err = r.options.Client.Get(ctx, types.NamespacedName{Namespace: r.namespaceOf(job), Name: nameOf(job.ID)}, pod)
	switch {
	case apierrors.IsNotFound(err):
		return r.begin(ctx, job, order, digest)
	case err != nil:
		return failed(err)
	case !pod.DeletionTimestamp.IsZero() || r.isGiven(pod.UID):
		return importer.State{Phase: importer.Pending} // its end wakes the job
	case pod.Annotations[orderMark] != digest:
		r.giveUp(ctx, pod)
		return importer.State{Phase: importer.Pending}
	}
	if err := r.ensureSecret(ctx, pod, order); err != nil {
		return failed(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return stateOf(pod, r.progress[pod.UID])
}

// failed is the state of a job that the cluster does not let run.
func failed(err error) importer.State {
	return importer.State{Phase: importer.Failed, Err: fmt.Errorf("%w: %w", importer.ErrRegistry, err)}
}

// begin makes the pod, and then its order, which waits for nothing else.
func (r *Runner) begin(ctx context.Context, job importer.Job, order []byte, digest string) importer.State {
	claim, err := r.claimOf(ctx, job.Source.Volume)
	if err != nil {
		return failed(err)
	}
	template, err := r.template(ctx)
	if err != nil {
		return failed(err)
	}
	pod := r.buildPod(job, digest, claim, template)
	err = r.options.Client.Create(ctx, pod)
	if apierrors.IsAlreadyExists(err) { // the cache is behind
		return importer.State{Phase: importer.Pending}
	}
	if err != nil {
		return failed(fmt.Errorf("create importer pod %s/%s: %w", pod.Namespace, pod.Name, err))
	}
	if err := r.ensureSecret(ctx, pod, order); err != nil {
		return failed(err)
	}
	return importer.State{Phase: importer.Pending}
}

var errNoImage = errors.New("it needs one container with an image of slipway-dvcr")

// template reads the template as it stands now.
func (r *Runner) template(ctx context.Context) (*corev1.PodTemplate, error) {
	template := &corev1.PodTemplate{}
	key := types.NamespacedName{Namespace: r.options.Namespace, Name: r.options.Template}
	err := r.options.Client.Get(ctx, key, template)
	if err == nil && (len(template.Template.Spec.Containers) != 1 || template.Template.Spec.Containers[0].Image == "") {
		err = errNoImage
	}
	if err != nil {
		return nil, fmt.Errorf("read PodTemplate %s: %w", key, err)
	}
	return template, nil
}

// ensureSecret makes the order of a pod that waits for it; a process that was killed may have left it out.
func (r *Runner) ensureSecret(ctx context.Context, pod *corev1.Pod, order []byte) error {
	if pod.Status.Phase != "" && pod.Status.Phase != corev1.PodPending {
		return nil
	}
	err := r.options.Client.Create(ctx, buildSecret(pod, order))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the order of importer pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// claimOf reads the claim of a volume; nil when there is none to read.
func (r *Runner) claimOf(ctx context.Context, v *importer.VolumeSource) (*corev1.PersistentVolumeClaim, error) {
	if v == nil {
		return nil, nil
	}
	claim := &corev1.PersistentVolumeClaim{}
	if err := r.options.Client.Get(ctx, types.NamespacedName{Namespace: v.Namespace, Name: v.Claim}, claim); err != nil {
		return nil, fmt.Errorf("get claim %s/%s: %w", v.Namespace, v.Claim, err)
	}
	return claim, nil
}

func (r *Runner) isGiven(uid types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.given[uid]
}

// giveUp deletes a pod; its order goes with it, here for clusters without a garbage collector's haste.
func (r *Runner) giveUp(ctx context.Context, pod *corev1.Pod) {
	r.mu.Lock()
	r.given[pod.UID] = true
	delete(r.progress, pod.UID)
	r.mu.Unlock()
	secret := &corev1.Secret{}
	secret.Name, secret.Namespace = pod.Name, pod.Namespace
	err := errors.Join(
		client.IgnoreNotFound(r.options.Client.Delete(ctx, pod, client.Preconditions{UID: &pod.UID})),
		client.IgnoreNotFound(r.options.Client.Delete(ctx, secret)),
	)
	if err != nil {
		log.FromContext(ctx).Error(err, "delete importer pod", "pod", pod.Name)
		r.mu.Lock()
		delete(r.given, pod.UID) // the next call tries again
		r.mu.Unlock()
	}
}

// Retry implements intake.Runner.
func (r *Runner) Retry(id string) {
	if r.options.Local != nil {
		r.options.Local.Retry(id)
	}
	r.each(id, func(pod *corev1.Pod) bool { return stateOf(pod, importer.Progress{}).Phase == importer.Failed })
}

// Forget implements intake.Runner.
func (r *Runner) Forget(id string) {
	if r.options.Local != nil {
		r.options.Local.Forget(id)
	}
	r.each(id, func(*corev1.Pod) bool { return true })
}

// each gives up the pods of a job that a caller means.
func (r *Runner) each(id string, meant func(*corev1.Pod) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var pods corev1.PodList
	if err := r.options.Client.List(ctx, &pods, client.MatchingLabels{idLabel: nameOf(id)}); err != nil {
		log.FromContext(ctx).Error(err, "list importer pods", "job", id)
		return
	}
	for i := range pods.Items {
		if meant(&pods.Items[i]) {
			r.giveUp(ctx, &pods.Items[i])
		}
	}
}
