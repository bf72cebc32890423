// Package compile turns custom resources into claims: here typed fields become
// broker arguments, and a dead-letter section or an inline binding becomes
// broker objects of its own. It is pure: no I/O, no clock, no logging; the same
// resource gives the same claim, in the same order.
//
// What a schema cannot see (schemaless arguments, lengths in bytes, resources
// that never passed an API server) is checked here. One bad part makes the whole
// claim invalid: half a queue helps nobody.
//
// A new kind is a function in a file of its own and a row in the table below.
//
//	draft.go       what the functions of the kinds write to
//	invalid.go     what is wrong, by field
//	names.go       what RabbitMQ and Kafka accept as names
//	arguments.go   what RabbitMQ knows about arguments
//	retry.go       how a queue's messages are tried again, as plain data
//	retry_rules.go what cannot be combined with a retry
//	settings.go    what a policy can carry instead of arguments
//	tiers.go       what the strategies of a retry want on the broker
//	topic_retry.go the same for a topic
//	contract.go    what applications are told, as plain data
//	departures.go  which deletions an inventory counts and holds
package compile

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// kind says how one kind of custom resource is compiled.
type kind struct {
	// connection is the kind of connection that its connectionRef names.
	connection string
	build      func(v1alpha1.Object, *draft)
}

var kinds = map[string]kind{
	v1alpha1.KindVirtualHost:     row(v1alpha1.KindRabbitMQConnection, virtualHost),
	v1alpha1.KindExchange:        row(v1alpha1.KindRabbitMQConnection, exchange),
	v1alpha1.KindQueue:           row(v1alpha1.KindRabbitMQConnection, queue),
	v1alpha1.KindExchangeBinding: row(v1alpha1.KindRabbitMQConnection, exchangeBinding),
	v1alpha1.KindTopic:           row(v1alpha1.KindKafkaConnection, topic),
}

func row[T v1alpha1.Object](connection string, build func(T, *draft)) kind {
	return kind{connection: connection, build: func(obj v1alpha1.Object, d *draft) { build(obj.(T), d) }}
}

// ConnectionDefaults is what a connection gives to the objects that use it.
type ConnectionDefaults struct {
	// Key of the connection. Zero: ConnectionOf the object.
	Key topology.ConnectionKey
	// VirtualHost of the objects that name none. Empty: "/".
	VirtualHost string
	// Version of the broker, such as 4.0.5. Empty: the newest.
	Version string
	// Approval that is required of all of them. Empty: None.
	Approval v1alpha1.ApprovalPolicy
}

// ConnectionOf names the connection that an object uses: its kind follows from
// the kind of the object, its namespace is the object's own by default.
func ConnectionOf(obj v1alpha1.Object) topology.ConnectionKey {
	ref := v1alpha1.ConnectionKey(obj)
	return topology.ConnectionKey{Kind: kinds[obj.KindName()].connection, Namespace: ref.Namespace, Name: ref.Name}
}

// Claim compiles one custom resource. What is wrong with it is Claim.Invalid, of
// type *InvalidSpec, or a *topology.Error of ClassUnsupported where the spec is
// sound and this version of the broker cannot do it. An invalid claim still names what it wants, as far as that
// can be told: a plan finds claims, to hold and to report, by what they want.
func Claim(obj v1alpha1.Object, conn ConnectionDefaults) topology.Claim {
	d := newDraft(virtualHostOf(obj, conn), conn.Version)
	claim := topology.Claim{
		Owner:      ownerOf(obj),
		Connection: conn.Key,
		Policy:     policyOf(obj, d),
		Approved:   approvedOf(obj),
		Suspended:  obj.IsSuspended(),
		Settled:    isSettled(obj),
		Reported:   obj.GetStatus().Owns,

		ReportedInPart: len(obj.GetStatus().Owns) == v1alpha1.MaxOwns,
	}
	if claim.Connection == (topology.ConnectionKey{}) {
		claim.Connection = ConnectionOf(obj)
	}
	if k, known := kinds[obj.KindName()]; known {
		k.build(obj, d)
	} else {
		d.problem("kind", "%s is not a kind that declares something on a broker", quote(obj.KindName()))
	}
	if v1alpha1.StricterApproval(conn.Approval, obj.GetPolicies().Approval) != v1alpha1.ApprovalNone {
		claim.Policy.Approval = topology.ApprovalRequired
	}
	claim.Policy.PartitionGrowth = d.partitionGrowth
	claim.Policy.Update = d.update
	claim.DeadLetters = d.deadLetters
	claim.Warnings = d.warnings
	claim.Want = d.wants
	switch {
	case len(d.problems) > 0:
		claim.Invalid = &InvalidSpec{Problems: d.problems}
	case d.lacking != "":
		claim.Invalid = &topology.Error{Class: topology.ClassUnsupported, Reason: d.lacking}
	}
	return claim
}

func ownerOf(obj v1alpha1.Object) topology.Owner {
	return topology.Owner{
		OwnerKey:    topology.OwnerKey{Kind: obj.KindName(), Namespace: obj.GetNamespace(), Name: obj.GetName()},
		UID:         string(obj.GetUID()),
		Generation:  obj.GetGeneration(),
		Created:     obj.GetCreationTimestamp().Time,
		ReconcileAt: obj.GetAnnotations()[v1alpha1.AnnotationReconcileAt],
	}
}

func virtualHostOf(obj v1alpha1.Object, conn ConnectionDefaults) string {
	const brokersOwn = "/"
	if lives, ok := obj.(v1alpha1.RabbitMQObject); ok && lives.GetVirtualHost() != "" {
		return lives.GetVirtualHost()
	}
	if conn.VirtualHost != "" {
		return conn.VirtualHost
	}
	return brokersOwn
}

func policyOf(obj v1alpha1.Object, d *draft) topology.Policy {
	p := obj.GetPolicies()
	policy := topology.Policy{
		Deletion:   topology.DeletionPolicy(p.Deletion),
		Adoption:   topology.AdoptionPolicy(p.Adoption),
		Drift:      topology.DriftPolicy(p.Drift),
		HandOverTo: handOverTo(obj, d),
		AcceptLoss: obj.GetAnnotations()[v1alpha1.AnnotationAcceptLoss],
	}
	// A misspelt policy must not pass for another one: it decides what is deleted.
	oneOf(d, "spec.deletionPolicy", policy.Deletion, topology.DeleteIfUnused, topology.Delete, topology.Retain)
	oneOf(d, "spec.adoptionPolicy", policy.Adoption, topology.AdoptIfIdentical, topology.AdoptAlways, topology.AdoptNever)
	oneOf(d, "spec.driftPolicy", policy.Drift, topology.DriftCorrect, topology.DriftReport)
	oneOf(d, "spec.approval", p.Approval, v1alpha1.ApprovalNone, v1alpha1.ApprovalRequired)
	return policy
}

// approvedOf reads the approval that an object carries. Which steps it is about
// is known as long as the plan stands there too.
func approvedOf(obj v1alpha1.Object) topology.Approved {
	status := obj.GetStatus()
	approved := topology.Approved{Hash: status.ApprovedPlan}
	if approved.Hash != "" && status.Plan != nil && status.Plan.Hash == approved.Hash {
		approved.Generation, approved.Steps = status.Plan.Generation, status.Plan.Covers
	}
	return approved
}

func handOverTo(obj v1alpha1.Object, d *draft) string {
	heir, given := obj.GetAnnotations()[v1alpha1.AnnotationHandOverTo]
	if !given {
		return ""
	}
	namespace, name, ok := strings.Cut(heir, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		d.warn("metadata.annotations["+v1alpha1.AnnotationHandOverTo+"]",
			"%s names no object and is ignored: write namespace/name", quote(heir))
		return ""
	}
	return heir
}

// isSettled tells whether this generation has been converged before: from then
// on a difference is drift. Under driftPolicy Report an object with drift may
// not be Ready any more, and is settled all the same.
func isSettled(obj v1alpha1.Object) bool {
	status := obj.GetStatus()
	if status.ObservedGeneration != obj.GetGeneration() {
		return false
	}
	if meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady) {
		return true
	}
	drifted := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionDrifted)
	return drifted != nil && drifted.Status == metav1.ConditionTrue && drifted.ObservedGeneration == obj.GetGeneration()
}
