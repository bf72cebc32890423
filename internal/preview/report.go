package preview

import (
	"fmt"
	"strings"
)

// Action is what would be done to one object.
type Action string

// Actions, in the order in which they are counted.
const (
	Create Action = "create"
	// Change is made on the living object.
	Change Action = "change"
	// Replace deletes the object and creates it anew, by its updatePolicy.
	Replace Action = "replace"
	Delete  Action = "delete"
	// Forbidden changes are made by nobody: the broker cannot, refuses to, or a
	// policy of the object does not let it.
	Forbidden Action = "forbidden"
	// Held is not done now; the message says why, and what lets it go on.
	Held Action = "held"
	// Invalid resources cannot be compiled: nothing of them is done.
	Invalid Action = "invalid"
)

// actions in the order in which they are counted.
var actions = []Action{Create, Change, Replace, Delete, Forbidden, Held, Invalid}

// Field is one field of an object.
type Field struct {
	// Path in the broker's own term.
	Path string `json:"path"`
	// Live is what the broker has; "" of an object that is created.
	Live string `json:"live,omitempty"`
	// Declared is what it shall have.
	Declared string `json:"declared"`
}

// Item is what would be done to one object.
type Item struct {
	Action Action `json:"action"`
	// Object on the broker, such as "queue shop/orders"; "" of what concerns a
	// whole custom resource.
	Object string `json:"object,omitempty"`
	// Owners are the custom resources that declare it, or did.
	Owners []string `json:"owners"`
	Fields []Field  `json:"fields,omitempty"`
	// Risks say what it does to messages, each in half a sentence.
	Risks []string `json:"risks,omitempty"`
	// Reason of what is not done, one of the API's condition reasons.
	Reason string `json:"reason,omitempty"`
	// Message says why it is not done, or how it is.
	Message string `json:"message,omitempty"`
}

// Cluster is what would be done on one broker cluster over one connection.
type Cluster struct {
	// Connection, such as "RabbitMQConnection orders/rabbitmq".
	Connection string `json:"connection"`
	// ID and Version of the broker that answered.
	ID      string `json:"clusterID"`
	Version string `json:"version"`
	// Unchanged is the number of declared objects that are as they should be.
	Unchanged int    `json:"unchanged"`
	Items     []Item `json:"items"`
	// Adopted is the number of objects that come to be owned as they are.
	Adopted int `json:"adopted,omitempty"`
	// Warnings are about what is accepted and likely a mistake.
	Warnings []string `json:"warnings,omitempty"`
	// Approvals are what waits for a person's approval, by custom resource.
	Approvals []Approval `json:"approvals,omitempty"`
	// HeldDeletions are what the breaker for mass deletions holds over this
	// connection; nil if nothing.
	HeldDeletions *HeldDeletions `json:"heldDeletions,omitempty"`
}

// Broker is the cluster's kind and version for people: RabbitMQ 4.0.5.
func (c Cluster) Broker() string {
	kind, _, _ := strings.Cut(c.Connection, "Connection")
	return strings.TrimSpace(kind + " " + c.Version)
}

// Report is a whole preview.
type Report struct {
	// Notes concern all of it, such as what is not known.
	Notes    []string  `json:"notes,omitempty"`
	Clusters []Cluster `json:"clusters"`
}

// Counts of items by action.
func (r Report) Counts() map[Action]int {
	out := map[Action]int{}
	for _, cluster := range r.Clusters {
		for _, item := range cluster.Items {
			out[item.Action]++
		}
	}
	return out
}

// Failed tells whether something is wrong with what is declared: a resource that
// is invalid, or that the broker refuses.
func (r Report) Failed() bool {
	for _, cluster := range r.Clusters {
		for _, item := range cluster.Items {
			if item.Action == Invalid || item.Reason == reasonRejected {
				return true
			}
		}
	}
	return false
}

// Unchanged objects of all clusters.
func (r Report) Unchanged() int {
	sum := 0
	for _, cluster := range r.Clusters {
		sum += cluster.Unchanged
	}
	return sum
}

// Summary is one line: 3 to create, 1 to change.
func (r Report) Summary() string {
	counts := r.Counts()
	words := map[Action]string{Create: "to create", Change: "to change", Replace: "to replace", Delete: "to delete", Forbidden: "forbidden", Held: "held", Invalid: "invalid"}
	var parts []string
	for _, action := range actions {
		if n := counts[action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, words[action]))
		}
	}
	unchanged := count(int64(r.Unchanged()), "object")
	if len(parts) == 0 {
		return "nothing to do: " + unchanged + " as declared"
	}
	return strings.Join(parts, ", ") + "; " + unchanged + " as declared"
}

// count renders "1 message", "1,204 messages".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number sets commas between thousands.
func number(n int64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// Changes tells whether something is to be done, or waits to be. What is
// suspended is left alone on purpose.
func (r Report) Changes() bool {
	for _, cluster := range r.Clusters {
		if cluster.HeldDeletions != nil {
			return true
		}
		for _, item := range cluster.Items {
			if item.Reason != reasonSuspended {
				return true
			}
		}
	}
	return false
}
