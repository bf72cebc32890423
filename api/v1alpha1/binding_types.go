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

// HeaderMatch is RabbitMQ's x-match argument, in RabbitMQ's spelling.
//
// +kubebuilder:validation:Enum=all;any;all-with-x;any-with-x
type HeaderMatch string

const (
	// HeaderMatchAll means that all the values match; headers whose name begins with x- are ignored.
	HeaderMatchAll HeaderMatch = "all"
	// HeaderMatchAny means that at least one value matches; headers whose name begins with x- are ignored.
	HeaderMatchAny HeaderMatch = "any"
	// HeaderMatchAllWithX is HeaderMatchAll without the exception for x-.
	HeaderMatchAllWithX HeaderMatch = "all-with-x"
	// HeaderMatchAnyWithX is HeaderMatchAny without the exception for x-.
	HeaderMatchAnyWithX HeaderMatch = "any-with-x"
)

// HeaderBinding selects messages by their headers, for a source of type headers.
type HeaderBinding struct {
	// match is RabbitMQ's x-match: all (the default) or any of the values must match, headers whose name
	// begins with x- being ignored; all-with-x and any-with-x (RabbitMQ 3.10 and later) look at those too.
	// +optional
	// +kubebuilder:default=all
	Match HeaderMatch `json:"match,omitempty"`

	// values are the headers to match, names to JSON values; a number matches a number of the same type
	// only. From 1 to 64.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	Values Arguments `json:"values"`
}

// BindingSource says which messages of which exchange are wanted. With routingKeys there is one
// binding a key; with headers there is one binding; with neither there is one binding with an empty
// key, which is what a fanout exchange wants.
//
// +kubebuilder:validation:XValidation:rule="!has(self.headers) || !has(self.routingKeys) || size(self.routingKeys) == 0",message="write either routingKeys or headers, not both: two entries with the same source make two bindings"
type BindingSource struct {
	// source is the exchange that messages come from (source). The default exchange cannot be bound:
	// every queue receives from it under its own name anyway. At most 255 bytes of UTF-8; the count here
	// is in characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Source string `json:"source"`

	// routingKeys are the keys to bind with (routing_key), one binding each; patterns with * and # where
	// the source is a topic exchange. At most 128, of 255 bytes each. Default: one binding with an empty key.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=255
	RoutingKeys []string `json:"routingKeys,omitempty"`

	// headers selects messages by their headers, where the source is a headers exchange. Not together
	// with routingKeys. Default: none.
	// +optional
	Headers *HeaderBinding `json:"headers,omitempty"`

	// arguments are further arguments of each of the bindings, as JSON: an integer stays an integer. At
	// most 64. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Arguments Arguments `json:"arguments,omitempty"`
}

// EffectiveMatch returns the x-match argument with its default filled in.
func (h *HeaderBinding) EffectiveMatch() HeaderMatch {
	if h.Match == "" {
		return HeaderMatchAll
	}
	return h.Match
}
