/*
Copyright The Warrener Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package v1alpha1

// Condition types. Ready is always present once an object has been seen. Reconciling and Stalled are
// present only while they are true, and never both: this is what kstatus, and with it Flux and
// `kubectl wait`, understands.
const (
	// ConditionReady is True when the broker holds what the object declares.
	ConditionReady = "Ready"
	// ConditionReconciling is True while Warrener is working on the object or waiting for something
	// other than an edit of it: a connection, a Secret, a permission, a dependency, an approval.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when only an edit of this very object can help.
	ConditionStalled = "Stalled"
	// ConditionDrifted is True under driftPolicy Report while the broker differs from the declaration.
	ConditionDrifted = "Drifted"
	// ConditionDeletionHeld is present on a connection, and True, while deletions wait because unusually many
	// custom resources went at once. Ready does not depend on it: everything else goes on.
	ConditionDeletionHeld = "DeletionHeld"
	// ConditionContractPublished is present on an object with a contract: True when the ConfigMap says what
	// the object declares, False when it cannot be written. Ready does not depend on it.
	ConditionContractPublished = "ContractPublished"
	// ConditionDeadLettersPresent is present where Warrener creates the queue or topic for dead letters: True
	// while that holds a message, False while it holds none, as of the last drift check. How many is a metric.
	ConditionDeadLettersPresent = "DeadLettersPresent"
)

// Reasons of conditions and events. The list is closed: dashboards and alerts may rely on it.
const (
	// ReasonSucceeded: the broker holds what is declared.
	ReasonSucceeded = "Succeeded"
	// ReasonProgressing: work is under way.
	ReasonProgressing = "Progressing"
	// ReasonDependencyNotReady: something that must exist first, such as a virtual host or the source
	// exchange of a binding, does not exist yet.
	ReasonDependencyNotReady = "DependencyNotReady"
	// ReasonConnectionNotFound: connectionRef names a connection that does not exist.
	ReasonConnectionNotFound = "ConnectionNotFound"
	// ReasonConnectionUnavailable: the broker cannot be reached.
	ReasonConnectionUnavailable = "ConnectionUnavailable"
	// ReasonRefNotPermitted: the connection does not admit objects of this namespace.
	ReasonRefNotPermitted = "RefNotPermitted"
	// ReasonSecretNotFound: a Secret or ConfigMap that the connection refers to, or a key in it, is missing.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonAuthenticationFailed: the broker does not accept the credentials.
	ReasonAuthenticationFailed = "AuthenticationFailed"
	// ReasonAccessDenied: the broker accepts the credentials but forbids the operation.
	ReasonAccessDenied = "AccessDenied"
	// ReasonInvalidSpec: the spec asks for something that no broker could do.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonConflict: another object owns the same broker object or declares it differently.
	ReasonConflict = "Conflict"
	// ReasonImmutableFieldChanged: the broker cannot change this field on an existing object.
	ReasonImmutableFieldChanged = "ImmutableFieldChanged"
	// ReasonAdoptionRefused: the broker object exists, no custom resource owns it, and adoptionPolicy
	// does not permit taking it over.
	ReasonAdoptionRefused = "AdoptionRefused"
	// ReasonDeletionHeld: unusually many deletions at once wait for a confirmation.
	ReasonDeletionHeld = "DeletionHeld"
	// ReasonLeftBehind: a custom resource is gone and its broker object stays, because it is in use or
	// cannot be deleted.
	ReasonLeftBehind = "LeftBehind"
	// ReasonBrokerRejected: the broker refused the operation; the message carries its own words.
	ReasonBrokerRejected = "BrokerRejected"
	// ReasonUnsupportedByBroker: this version of the broker lacks the feature.
	ReasonUnsupportedByBroker = "UnsupportedByBroker"
	// ReasonPartitionGrowthRefused: more partitions would move keys, and the topic's policy forbids that.
	ReasonPartitionGrowthRefused = "PartitionGrowthRefused"
	// ReasonClusterChanged: the connection reaches another cluster than before.
	ReasonClusterChanged = "ClusterChanged"
	// ReasonAwaitingApproval: the change waits for a person's approval.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonMigrating: a queue is being replaced without losing its messages.
	ReasonMigrating = "Migrating"
	// ReasonDriftReported: of the condition Drifted: a difference is shown and not corrected.
	ReasonDriftReported = "DriftReported"
	// ReasonConfigMapNotOwned: of the condition ContractPublished: the ConfigMap exists and is somebody
	// else's.
	ReasonConfigMapNotOwned = "ConfigMapNotOwned"
	// ReasonConfigMapRefused: of the condition ContractPublished: the API server refuses the ConfigMap.
	ReasonConfigMapRefused = "ConfigMapRefused"
	// ReasonEmpty and ReasonHoldsMessages: of the condition DeadLettersPresent.
	ReasonEmpty         = "Empty"
	ReasonHoldsMessages = "HoldsMessages"
	// ReasonDriftCorrected, ReasonAdopted and ReasonDeleted are reasons of events.
	ReasonDriftCorrected = "DriftCorrected"
	ReasonAdopted        = "Adopted"
	ReasonDeleted        = "Deleted"
	// ReasonRecreated is the reason of events: somebody else deleted a topic and created another of its name.
	ReasonRecreated = "Recreated"
	// ReasonForgotten: of events: a person asked for it by annotation.
	ReasonForgotten = "Forgotten"
	// ReasonSuspended: spec.suspend is true.
	ReasonSuspended = "Suspended"
)
