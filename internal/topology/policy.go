package topology

import (
	"errors"
	"regexp"
	"strconv"
)

// PriorityOfPolicies is that of all policies that Warrener makes: above those
// that cover many queues, which people give single or double digits, and far
// below the highest. There is no field for it: whoever wants another policy to
// lose can change that one, and two that outbid each other help nobody.
const PriorityOfPolicies = 1000

// Keys of a policy that plans and adapters have to tell apart.
const (
	PolicyMaxLength          = "max-length"
	PolicyMaxLengthBytes     = "max-length-bytes"
	PolicyOverflow           = "overflow"
	PolicyMessageTTL         = "message-ttl"
	PolicyExpires            = "expires"
	PolicyMaxAge             = "max-age"
	PolicyDeliveryLimit      = "delivery-limit"
	PolicyDeadLetterExchange = "dead-letter-exchange"
)

// applyToQueues is the only word for queues that all versions know.
const applyToQueues = "queues"

// BrokerPolicy is a policy of a RabbitMQ virtual host: settings for the queues
// whose names its pattern matches. All of it can be changed in place. Of all
// policies that match a queue only one applies, see PolicyBook.
type BrokerPolicy struct {
	VirtualHost string
	Name        string
	Pattern     string // a regular expression, found anywhere in a name
	ApplyTo     string // queues, exchanges, all, classic_queues, quorum_queues or streams
	Priority    int64
	// Definition has the keys of the policy, such as max-length.
	Definition Arguments
	// Queue that a wanted policy is for, and its type; of live policies they
	// are not known.
	Queue, QueueType string
	// After lists what must stand before the policy so that no message can be
	// lost in between: the dead-letter objects.
	After []ID
}

// QueuePolicy is the policy that Warrener makes for one queue.
func QueuePolicy(virtualHost, queue, queueType string, definition Arguments) *BrokerPolicy {
	return &BrokerPolicy{
		VirtualHost: virtualHost, Name: QueuePolicyName(queue), Pattern: "^" + regexp.QuoteMeta(queue) + "$",
		ApplyTo: applyToQueues, Priority: PriorityOfPolicies, Definition: definition,
		Queue: queue, QueueType: queueType,
	}
}

// QueuePolicyName is what the policy that Warrener makes for a queue is called.
func QueuePolicyName(queue string) string { return "warrener." + queue }

// ID implements Resource.
func (p *BrokerPolicy) ID() ID { return PolicyID(p.VirtualHost, p.Name) }

// PolicyID identifies a policy by virtual host and name.
func PolicyID(virtualHost, name string) ID {
	return ID{Kind: KindPolicy, Scope: virtualHost, Name: name}
}

// QueueID is the queue that a wanted policy is for.
func (p *BrokerPolicy) QueueID() ID { return QueueID(p.VirtualHost, p.Queue) }

// UnlistedPolicies is a key of Snapshot.Unread: why policies may exist that are
// not in Snapshot.Objects. It is the ID of no policy.
var UnlistedPolicies = PolicyID("", "")

var errPoliciesNotAsked = errors.New("policies were not asked for: they are read with the next look at the broker")

// Needs implements Resource. The queue is no need: a policy stands before the
// queue does, so that no message comes to a queue without its limits.
func (p *BrokerPolicy) Needs() []ID { return append([]ID{VirtualHostID(p.VirtualHost)}, p.After...) }

// Diff implements Resource.
func (p *BrokerPolicy) Diff(live Resource) []Change {
	found, ok := live.(*BrokerPolicy)
	if !ok {
		return wrongKind(p, live)
	}
	changes := diffString("pattern", found.Pattern, p.Pattern, InPlace)
	changes = append(changes, diffString("apply-to", found.ApplyTo, p.ApplyTo, InPlace)...)
	changes = append(changes, diffString("priority", strconv.FormatInt(found.Priority, 10), strconv.FormatInt(p.Priority, 10), InPlace)...)
	for _, change := range diffTable("definition.", p.Definition, found.Definition, InPlace) {
		change.Risk = p.riskOf(change.Path, found)
		changes = append(changes, change)
	}
	return sortChanges(changes)
}

// riskOf says what a change of one key does to messages.
func (p *BrokerPolicy) riskOf(path string, live *BrokerPolicy) string {
	key := path[len("definition."):]
	wanted, set := p.Definition[key].(int64)
	before, was := live.Definition[key].(int64)
	switch key {
	case PolicyMaxLength, PolicyMaxLengthBytes:
		if set && (!was || wanted < before) && p.DropsOverflow() {
			return "the oldest messages above the limit are dropped, or dead-lettered"
		}
	case PolicyOverflow:
		if p.DropsOverflow() {
			return "messages above a limit are dropped, or dead-lettered, instead of refused"
		}
	case PolicyMessageTTL:
		if set && (!was || wanted < before) {
			return "messages that come from now on expire sooner; those that wait keep their time"
		}
	case PolicyExpires:
		if set && (!was || wanted < before) {
			return "a queue that nobody uses for that long is deleted with its messages"
		}
	case PolicyMaxAge:
		wanted, set := ageOf(p.Definition)
		if before, was := ageOf(live.Definition); set && (!was || wanted < before) {
			return "the stream discards what is older"
		}
	}
	return ""
}

// ageOf reads a max-age, such as 7D, in seconds; false if there is none. Months
// and years are those of the broker, 30 and 365 days.
func ageOf(definition Arguments) (int64, bool) {
	text, _ := definition[PolicyMaxAge].(string)
	if text == "" {
		return 0, false
	}
	const day = 24 * 60 * 60
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 64)
	return n * map[byte]int64{'s': 1, 'm': 60, 'h': 60 * 60, 'D': day, 'M': 30 * day, 'Y': 365 * day}[text[len(text)-1]], err == nil
}

// DropsOverflow tells whether a queue under this policy makes room for new
// messages at the cost of old ones.
func (p *BrokerPolicy) DropsOverflow() bool {
	overflow, _ := p.Definition[PolicyOverflow].(string)
	return overflow == "" || overflow == "drop-head"
}

// DeadLetterExchange that the policy names; false if it names none.
func (p *BrokerPolicy) DeadLetterExchange() (string, bool) {
	name, named := p.Definition[PolicyDeadLetterExchange].(string)
	return name, named
}
