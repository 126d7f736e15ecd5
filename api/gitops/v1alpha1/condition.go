package v1alpha1

// Condition types. Every kind carries Ready, and Reconciling or Stalled while
// they hold; the others belong to the Environment.
const (
	// ReadyCondition is True when everything the spec asks for was done: for a
	// source, the artifact is current; for an Environment, the revision is applied
	// and healthy.
	ReadyCondition = "Ready"
	// ReconcilingCondition is True while work is under way or is being retried.
	ReconcilingCondition = "Reconciling"
	// StalledCondition is True when only a change of the spec, the source or the
	// cluster can help.
	StalledCondition = "Stalled"
	// SourceVerifiedCondition of a source says whether the artifact is signed as
	// spec.verify asks, and by whom.
	SourceVerifiedCondition = "SourceVerified"
	// PlannedCondition of an Environment says whether a plan could be made for the
	// last attempted revision; its message is the plan's summary.
	PlannedCondition = "Planned"
	// AppliedCondition of an Environment says whether the last attempted revision
	// is applied in full.
	AppliedCondition = "Applied"
	// HealthyCondition of an Environment is True when every object of the last
	// applied revision is healthy, False when one is degraded and Unknown while one
	// progresses.
	HealthyCondition = "Healthy"
	// ReportedCondition of an Environment says whether the health that the last
	// applied revision reached was written back to its commit.
	ReportedCondition = "Reported"
)

// Reasons shared by all kinds.
const (
	// SucceededReason: all that the spec asks for was done.
	SucceededReason = "Succeeded"
	// ProgressingReason: work is under way.
	ProgressingReason = "Progressing"
	// SuspendedReason: spec.suspend is true, nothing is done.
	SuspendedReason = "Suspended"
	// NotSupportedReason: the spec uses a field or a kind that this version does
	// not implement. Nothing is done until it is removed; it is never ignored.
	NotSupportedReason = "NotSupported"
	// InvalidCELExpressionReason: an expression of the spec cannot be used.
	InvalidCELExpressionReason = "InvalidCELExpression"
)

// Reasons of sources.
const (
	// AuthenticationFailedReason: the remote refused the credentials, or the
	// Secret with the credentials is missing or malformed.
	AuthenticationFailedReason = "AuthenticationFailed"
	// GitOperationFailedReason: the remote could not be reached or did not answer
	// as a Git server does. The artifact that was there stays in use.
	GitOperationFailedReason = "GitOperationFailed"
	// OCIPullFailedReason: the registry could not be reached or did not answer as a
	// registry does. The artifact that was there stays in use.
	OCIPullFailedReason = "OCIArtifactPullFailed"
	// ReferenceNotFoundReason: the remote answered, but has no such branch, tag,
	// ref or commit.
	ReferenceNotFoundReason = "ReferenceNotFound"
	// SourceRefusedReason: the content breaks a limit, such as its size.
	SourceRefusedReason = "SourceRefused"
	// VerificationErrorReason: no signature satisfies spec.verify. Nothing of the
	// revision is unpacked; the artifact that was there stays in use.
	VerificationErrorReason = "VerificationError"
	// StorageOperationFailedReason: the artifact could not be stored.
	StorageOperationFailedReason = "StorageOperationFailed"
)

// Reasons of Environments.
const (
	// SourceNotFoundReason: the source that sourceRef names is not there.
	SourceNotFoundReason = "SourceNotFound"
	// SourceNotReadyReason: the source has no artifact yet.
	SourceNotReadyReason = "SourceNotReady"
	// SourceSuspendedReason: the source is suspended, so nothing new is taken from it.
	SourceSuspendedReason = "SourceSuspended"
	// ArtifactFetchFailedReason: the archive of a Flux source could not be fetched. What
	// was taken before stays in use.
	ArtifactFetchFailedReason = "ArtifactFetchFailed"
	// ArtifactLostReason: the artifact is no longer in the store and is fetched
	// again by its source.
	ArtifactLostReason = "ArtifactLost"
	// ServiceAccountRequiredReason: spec.serviceAccountName is empty.
	ServiceAccountRequiredReason = "ServiceAccountRequired"
	// InputNotFoundReason: a ConfigMap or Secret that the spec takes variables or
	// keys from is not there.
	InputNotFoundReason = "InputNotFound"
	// RenderFailedReason: the source does not render: YAML that does not parse, a
	// kustomization that is wrong or reaches out of its tree.
	RenderFailedReason = "RenderFailed"
	// ValidationFailedReason: an object breaks its schema.
	ValidationFailedReason = "ValidationFailed"
	// DuplicateObjectReason: two objects of the revision have the same name.
	DuplicateObjectReason = "DuplicateObject"
	// KindNotFoundReason: the cluster does not know a kind of the revision.
	KindNotFoundReason = "KindNotFound"
	// DependencyNotReadyReason: an Environment of spec.dependsOn is not ready.
	DependencyNotReadyReason = "DependencyNotReady"
	// HealthCheckFailedReason: an object of spec.healthChecks cannot be looked at.
	HealthCheckFailedReason = "HealthCheckFailed"
	// DependencyCycleReason: objects of the revision, or Environments, refer to each
	// other in a ring.
	DependencyCycleReason = "DependencyCycle"
	// OwnedByAnotherReason: an object belongs to another Environment.
	OwnedByAnotherReason = "OwnedByAnother"
	// ChangeRefusedReason: the revision asks for a change that no apply can make,
	// such as a smaller disk, or that none may make.
	ChangeRefusedReason = "ChangeRefused"
	// EmptyRevisionReason: the revision renders nothing.
	EmptyRevisionReason = "EmptyRevision"
	// MassDeletionReason: the revision would delete more than half of the inventory.
	MassDeletionReason = "MassDeletion"
	// ApprovalRequiredReason: the revision destroys objects whose UIDs are not in
	// spec.prune.approved.
	ApprovalRequiredReason = "ApprovalRequired"
	// RestartForbiddenReason: the revision restarts machines and
	// spec.disruption.restart is Never.
	RestartForbiddenReason = "RestartForbidden"
	// ApplyFailedReason: the API server refused an object or could not be reached.
	ApplyFailedReason = "ApplyFailed"
	// ForbiddenReason: the ServiceAccount may not do what the revision needs.
	ForbiddenReason = "Forbidden"
	// DegradedReason: an object of the revision is degraded.
	DegradedReason = "Degraded"
	// AwaitingRestartReason: everything is applied and works; a machine needs a
	// restart for its changes to take effect.
	AwaitingRestartReason = "AwaitingRestart"
	// ActionRequiredReason: everything is applied; an object waits for people, such
	// as a paused machine or an image to be uploaded.
	ActionRequiredReason = "ActionRequired"
	// PruneFailedReason: an object that left the source could not be deleted.
	PruneFailedReason = "PruneFailed"
	// ReplacingReason: an object is being deleted so that it can be made again.
	ReplacingReason = "Replacing"
	// DeletingReason: the deletion policy is being carried out.
	DeletingReason = "Deleting"
)

// Reasons of the Reported condition, and of events of the same name.
const (
	// ReportedReason: the health stands on the commit.
	ReportedReason = "Reported"
	// ReportFailedReason: the note could not be pushed; it is retried.
	ReportFailedReason = "ReportFailed"
	// NothingToReportReason: the revision has not settled. No condition carries it;
	// what was reported before stays in view.
	NothingToReportReason = "NothingToReport"
)

// Reasons of events on Environments that are no condition's reason.
const (
	// PlannedReason: a plan with changes was made.
	PlannedReason = "Planned"
	// AppliedReason: a revision was applied.
	AppliedReason = "Applied"
	// PrunedReason: objects that left the source were deleted.
	PrunedReason = "Pruned"
	// RetainedReason: objects that left the source were kept.
	RetainedReason = "Retained"
	// AdoptedReason: a retained object came back to the source.
	AdoptedReason = "Adopted"
	// RenamedReason: an object seems to be another one under a new name.
	RenamedReason = "Renamed"
	// DriftCorrectedReason: a change made past Git was undone.
	DriftCorrectedReason = "DriftCorrected"
	// HealthChangedReason: the health of the environment changed.
	HealthChangedReason = "HealthChanged"
	// ArtifactUpdatedReason: a source has a new artifact.
	ArtifactUpdatedReason = "ArtifactUpdated"
)
