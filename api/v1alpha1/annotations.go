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

// Annotations that a person or a tool may set. Warrener reads them and never writes them.
const (
	// AnnotationReconcileAt asks for a reconciliation now. Any new value will do, a time is usual;
	// status.lastHandledReconcileAt repeats the value that was answered last.
	AnnotationReconcileAt = "topology.warrener.dev/reconcile-at"
	// AnnotationAcceptCluster, on a connection, confirms that the cluster with this id is meant to
	// replace the one that the connection reached before.
	AnnotationAcceptCluster = "topology.warrener.dev/accept-cluster"
	// AnnotationAllowDeletes, on a connection, releases held deletions. Its value is the id in
	// status.heldDeletions.window, and covers what was held when that was read.
	AnnotationAllowDeletes = "topology.warrener.dev/allow-deletes"
	// AnnotationForgetLeftBehind, on a connection, strikes broker objects that were left behind off the
	// inventory; they stay on the broker. The first word of its value is a mark that makes the request
	// another one than the last, a time for instance; then follows "all", or, each on a line of its own, the
	// names of objects ("queue shop/orders") or of the custom resources that owned them ("Queue team-a/orders").
	// status.lastHandledForget repeats the mark.
	AnnotationForgetLeftBehind = "topology.warrener.dev/forget-left-behind"
	// AnnotationAcceptLoss, on a Queue, has a change of its policy made although messages are lost by it.
	// The value is in the message of the condition that holds the change, and is good for that change only.
	AnnotationAcceptLoss = "topology.warrener.dev/accept-loss"
	// AnnotationHandOverTo, on an object, names the object ("namespace/name") that may take over its
	// broker objects when it is deleted, across namespaces too.
	AnnotationHandOverTo = "topology.warrener.dev/hand-over-to"
	// AnnotationLintIgnore, on anything that `warrener lint` reads, silences rules for this object, each with
	// a reason: "rule-id: reason; other-rule: reason". The controller does not look at it.
	AnnotationLintIgnore = "topology.warrener.dev/lint-ignore"
)
