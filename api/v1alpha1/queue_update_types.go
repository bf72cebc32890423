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

// UpdatePolicy says what happens when an argument of a queue is changed that the broker cannot change on
// a queue that exists: nearly all of them.
//
// +kubebuilder:validation:Enum=Refuse;Recreate;Migrate
type UpdatePolicy string

const (
	// UpdateRefuse leaves the queue as it is and explains.
	UpdateRefuse UpdatePolicy = "Refuse"
	// UpdateRecreate deletes the queue once it is empty and without consumers, and creates it anew.
	UpdateRecreate UpdatePolicy = "Recreate"
	// UpdateMigrate replaces the queue while it is in use, without losing a message.
	UpdateMigrate UpdatePolicy = "Migrate"
)

// DefaultExchangePublishers says what is known of applications that publish to a queue by its name, through
// the default exchange.
//
// +kubebuilder:validation:Enum=None;Paused;AcceptLoss
type DefaultExchangePublishers string

const (
	// DefaultExchangeNone says that nobody publishes so.
	DefaultExchangeNone DefaultExchangePublishers = "None"
	// DefaultExchangePaused says that whoever does pauses while the queue is migrated.
	DefaultExchangePaused DefaultExchangePublishers = "Paused"
	// DefaultExchangeAcceptLoss says that somebody does, and that what is published in the moment of the replacement may be lost.
	DefaultExchangeAcceptLoss DefaultExchangePublishers = "AcceptLoss"
)

// QueueMigration is what updatePolicy: Migrate needs to know.
type QueueMigration struct {
	// defaultExchangePublishers says what is known of applications that publish to the queue by its name,
	// through the default exchange. Nothing can be put in the way of their messages: in the moment, well under
	// a second, between the deletion of the old queue and the creation of the new one, they are lost. None:
	// nobody does; Paused: whoever does pauses while status.operations lists the queue; AcceptLoss: that loss is
	// accepted. It changes nothing about the migration: it is the word of somebody who has looked.
	// +required
	DefaultExchangePublishers DefaultExchangePublishers `json:"defaultExchangePublishers"`
}
