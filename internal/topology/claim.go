package topology

import (
	"cmp"
	"time"
)

// OwnerKey names a custom resource that owns broker objects. A resource that is
// deleted and applied again is the same owner: its UID is not part of the key.
type OwnerKey struct{ Kind, Namespace, Name string }

// String renders `Queue shop/order-process`.
func (k OwnerKey) String() string { return k.Kind + " " + k.Namespace + "/" + k.Name }

// Compare orders by namespace, name and kind.
func (k OwnerKey) Compare(other OwnerKey) int {
	return cmp.Or(cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Name, other.Name), cmp.Compare(k.Kind, other.Kind))
}

// Owner is one state of a custom resource.
type Owner struct {
	OwnerKey
	UID        string
	Generation int64
	Created    time.Time
	// ReconcileAt is the request for a look at the broker that this state of
	// the resource carries; "" if none. Whoever reports on the state repeats it.
	ReconcileAt string
}

// ConnectionKey names the connection resource through which an owner's steps
// run.
type ConnectionKey struct{ Kind, Namespace, Name string }

// String renders `RabbitMQConnection shop/broker`.
func (k ConnectionKey) String() string { return k.Kind + " " + k.Namespace + "/" + k.Name }

// Claim is what one custom resource asks of a broker.
type Claim struct {
	Owner      Owner
	Connection ConnectionKey
	Want       []Want
	Policy     Policy
	// Invalid poisons this claim, and this claim only: nothing of it is
	// created or changed, and what it owns it keeps.
	Invalid error
	// Suspended leaves the claim's objects alone, both ways.
	Suspended bool
	// Settled says that this generation has been converged before, so that a
	// difference is drift and not an edit.
	Settled bool
	// Reported lists what the resource's status says that it owns, by ID.String, as
	// the last pass that came to its end left it; ReportedInPart says that there was
	// no room for all.
	Reported       []string
	ReportedInPart bool
	// DeadLetters is the queue or topic for dead letters that this claim wants;
	// zero if none.
	DeadLetters ID
	// Approved is the plan that a person has approved; zero if none is.
	Approved Approved
	// Warnings are for the owner's status: accepted, but likely a mistake.
	Warnings []string
}

// Approved is a person's word that the steps of a plan may be made.
type Approved struct {
	// Hash of the plan.
	Hash string
	// Generation of the owner that the steps are of, and a digest of each, as far as
	// they are known: what is left of a plan that is done in part is approved, too.
	Generation int64
	Steps      []string
}

// Want is one broker object of a claim.
type Want struct {
	Resource Resource
	// Shareable objects (bindings, what is derived from a field) can have
	// several owners that want the same; the last one deletes.
	Shareable bool
}

// Policy is the part of a custom resource that decides instead of the user.
type Policy struct {
	Deletion        DeletionPolicy
	Adoption        AdoptionPolicy
	Drift           DriftPolicy
	PartitionGrowth PartitionGrowth
	// Approval is empty for None.
	Approval Approval
	// Update is about queues only; empty is Refuse.
	Update UpdatePolicy
	// AcceptLoss names a change that the owner wants to be made although it
	// costs messages; a plan says which name that is.
	AcceptLoss string
	// HandOverTo is the owner, as namespace/name, that may take over what this
	// one owned once it is gone, across namespaces.
	HandOverTo string
}

// DeletionPolicy says what the end of an owner does to its broker objects.
type DeletionPolicy string

// Deletion policies; the API documents them.
const (
	DeleteIfUnused DeletionPolicy = "DeleteIfUnused"
	Delete         DeletionPolicy = "Delete"
	Retain         DeletionPolicy = "Retain"
)

// AdoptionPolicy says what to do with an existing object that nobody owns.
type AdoptionPolicy string

// Adoption policies; the API documents them.
const (
	AdoptIfIdentical AdoptionPolicy = "IfIdentical"
	AdoptAlways      AdoptionPolicy = "Always"
	AdoptNever       AdoptionPolicy = "Never"
)

// DriftPolicy says what to do about a change made by hand.
type DriftPolicy string

// Drift policies; the API documents them.
const (
	DriftCorrect DriftPolicy = "Correct"
	DriftReport  DriftPolicy = "Report"
)

// Approval says whether a person has to approve what cannot be taken back.
type Approval string

// ApprovalRequired holds replacing, deleting and the end of per-key ordering.
const ApprovalRequired Approval = "Required"

// UpdatePolicy says what to do about a change that the broker cannot make on a
// living object.
type UpdatePolicy string

// Update policies; the API documents them.
const (
	UpdateRefuse   UpdatePolicy = "Refuse"
	UpdateRecreate UpdatePolicy = "Recreate"
	UpdateMigrate  UpdatePolicy = "Migrate"
)

// PartitionGrowth says when partitions may be added to a topic.
type PartitionGrowth string

// Partition growth policies; the API documents them.
const (
	GrowWhenEmpty PartitionGrowth = "WhenEmpty"
	GrowAlways    PartitionGrowth = "Always"
	GrowNever     PartitionGrowth = "Never"
)
