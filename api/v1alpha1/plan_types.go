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

// Bounds of status.plan: steps and fields that it lists, bytes of a text in it, digests of steps, and bytes of
// the whole as JSON. What is beyond them is counted and, digests apart, covered by the hash.
const (
	MaxPlanSteps  = 20
	MaxPlanFields = 16
	MaxPlanText   = 512
	MaxPlanCovers = 128
	MaxPlanBytes  = 8 << 10
)

// PlanAction says what a step does to a broker object.
//
// +kubebuilder:validation:Enum=Change;Replace;Delete;Forbidden
type PlanAction string

const (
	// PlanChange changes the object in place.
	PlanChange PlanAction = "Change"
	// PlanReplace deletes the object and creates it anew.
	PlanReplace PlanAction = "Replace"
	// PlanDelete deletes the object, which is declared no longer.
	PlanDelete PlanAction = "Delete"
	// PlanForbidden is a change that no approval lets through: the condition Ready says what would.
	PlanForbidden PlanAction = "Forbidden"
)

// Plan is what would be done if nothing held it.
type Plan struct {
	// hash names the plan, for status.approvedPlan. It covers the uid and the generation of this object, the
	// cluster id of the broker, the steps, and the live values of the fields concerned; no counts of messages and
	// no words about risks. Absent where no approval would help.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Hash string `json:"hash,omitempty"`

	// generation of this object that the plan is for.
	// +optional
	Generation int64 `json:"generation,omitempty"`

	// totalSteps counts all steps, those that are not listed too.
	// +optional
	TotalSteps int32 `json:"totalSteps,omitempty"`

	// steps are the first of them, at most 20 and as many as fit into 8 KiB.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Steps []PlanStep `json:"steps,omitempty"`

	// covers has a digest of each step that the hash covers, of the first 128: what is left of an approved plan
	// when a part of it is done is approved, too. For Warrener, not for people.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=64
	Covers []string `json:"covers,omitempty"`
}

// PlanStep is what would be done to one broker object.
type PlanStep struct {
	// action is Change, Replace, Delete or Forbidden.
	// +required
	Action PlanAction `json:"action"`

	// object on the broker, such as "queue shop/order.process". At most 512 bytes.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Object string `json:"object"`

	// fields that differ, at most 16.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Fields []PlanField `json:"fields,omitempty"`

	// risk says in words what the step puts at risk. At most 512 bytes.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Risk string `json:"risk,omitempty"`
}

// PlanField is a field in which the broker differs from what is declared.
type PlanField struct {
	// path is the field in the broker's own term, such as arguments.x-message-ttl. At most 512 bytes.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`

	// live is the value on the broker. At most 512 bytes.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Live string `json:"live,omitempty"`

	// declared is the value in the spec. At most 512 bytes.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Declared string `json:"declared,omitempty"`
}
