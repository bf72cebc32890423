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

// DeletionPolicy says what deleting a custom resource does to its broker objects. What stays on the
// broker against the wish of the policy is listed in the status of the connection as left behind.
//
// +kubebuilder:validation:Enum=DeleteIfUnused;Delete;Retain
type DeletionPolicy string

const (
	// DeleteIfUnused deletes what is not in use: a queue or topic without messages and consumers, an
	// exchange without bindings, an empty virtual host. A claim goes or stays whole: as long as one of
	// its queues holds a message, its dead-letter objects stay too.
	DeleteIfUnused DeletionPolicy = "DeleteIfUnused"
	// DeleteAlways deletes even what is in use, messages included.
	DeleteAlways DeletionPolicy = "Delete"
	// Retain never deletes: the broker object stays and no longer belongs to anybody.
	Retain DeletionPolicy = "Retain"
)

// AdoptionPolicy says what happens when the broker object exists already and no custom resource owns it.
//
// +kubebuilder:validation:Enum=IfIdentical;Always;Never
type AdoptionPolicy string

const (
	// AdoptIfIdentical takes over an object that is exactly as declared and refuses any other.
	AdoptIfIdentical AdoptionPolicy = "IfIdentical"
	// AdoptAlways takes over any object and corrects what can be changed in place.
	AdoptAlways AdoptionPolicy = "Always"
	// AdoptNever refuses every object that Warrener did not create.
	AdoptNever AdoptionPolicy = "Never"
)

// DriftPolicy says what happens when somebody else changes or deletes a broker object.
//
// +kubebuilder:validation:Enum=Correct;Report
type DriftPolicy string

const (
	// DriftCorrect undoes the change.
	DriftCorrect DriftPolicy = "Correct"
	// DriftReport leaves the change alone and names the differing fields in the condition Drifted.
	DriftReport DriftPolicy = "Report"
)

// ApprovalPolicy says whether a person has to approve what cannot be taken back.
//
// +kubebuilder:validation:Enum=None;Required
type ApprovalPolicy string

const (
	// ApprovalNone asks nobody.
	ApprovalNone ApprovalPolicy = "None"
	// ApprovalRequired holds what replaces a broker object, deletes one although its custom resource stays, or
	// ends the order of a topic's keys, until status.approvedPlan is the hash of status.plan.
	ApprovalRequired ApprovalPolicy = "Required"
)

// StricterApproval is the one of several that asks for more: what a connection requires, no object that
// uses it can do without.
func StricterApproval(policies ...ApprovalPolicy) ApprovalPolicy {
	for _, p := range policies {
		if p != "" && p != ApprovalNone {
			return p // a misspelt one is for others to complain about
		}
	}
	return ApprovalNone
}

// Policies are the policies whose defaults are the same on every kind. The deletion policy is not one
// of them: its default depends on the kind.
type Policies struct {
	// adoptionPolicy says what happens when the object exists on the broker already and no custom
	// resource owns it. IfIdentical (the default) takes it over if it is exactly as declared here;
	// Always takes it over and corrects what can be changed in place; Never refuses it.
	// +optional
	// +kubebuilder:default=IfIdentical
	AdoptionPolicy AdoptionPolicy `json:"adoptionPolicy,omitempty"`

	// driftPolicy says what happens when somebody changes the object on the broker by hand. Correct (the
	// default) undoes the change; Report shows the differing fields in the condition Drifted.
	// +optional
	// +kubebuilder:default=Correct
	DriftPolicy DriftPolicy `json:"driftPolicy,omitempty"`

	// approval says whether a person has to approve changes that cannot be taken back. None (the default)
	// asks nobody but the policies above; Required holds the steps that replace a broker object, delete one that
	// is declared no longer, or add partitions to a topic with records, until status.approvedPlan is the hash of
	// status.plan: see docs/approval.md. The connection can require it for all objects that use it.
	// +optional
	Approval ApprovalPolicy `json:"approval,omitempty"`

	// suspend leaves the broker object alone, whatever happens to it or to this spec, until it is false
	// again. Ready is Unknown meanwhile, and what the object owns stays its own. Default: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// EffectivePolicies are the policies of one object with every default filled in, also for an object
// that never passed through an API server.
//
// +kubebuilder:object:generate=false
type EffectivePolicies struct {
	Deletion DeletionPolicy
	Adoption AdoptionPolicy
	Drift    DriftPolicy
	Approval ApprovalPolicy
}

func (p Policies) effective(deletion, deletionDefault DeletionPolicy) EffectivePolicies {
	e := EffectivePolicies{Deletion: deletion, Adoption: p.AdoptionPolicy, Drift: p.DriftPolicy, Approval: StricterApproval(p.Approval)}
	if e.Deletion == "" {
		e.Deletion = deletionDefault
	}
	if e.Adoption == "" {
		e.Adoption = AdoptIfIdentical
	}
	if e.Drift == "" {
		e.Drift = DriftCorrect
	}
	return e
}
