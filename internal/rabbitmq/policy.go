package rabbitmq

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// policyKind is read by observation.policies alone: which policy applies to a
// queue takes all of a virtual host, operator policies included.
var policyKind = kind{
	collection: "policies",
	scoped:     true,
	columns:    policyColumns,
	read:       keepAs[wireBrokerPolicy],
	create:     putPolicy,
	update:     putPolicy,
	remove:     deletePolicy,
}

const policyColumns = "vhost,name,pattern,apply-to,priority,definition"

type wireBrokerPolicy struct {
	Name        string    `json:"name"`
	VirtualHost string    `json:"vhost"`
	Pattern     string    `json:"pattern"`
	ApplyTo     string    `json:"apply-to"`
	Priority    int64     `json:"priority"`
	Definition  arguments `json:"definition"`
}

func (w wireBrokerPolicy) id() (topology.ID, bool) {
	return topology.PolicyID(w.VirtualHost, w.Name), true
}

func (w wireBrokerPolicy) resource() (topology.Resource, error) {
	definition, err := w.Definition.canonical()
	if err != nil {
		return nil, err
	}
	return &topology.BrokerPolicy{
		VirtualHost: w.VirtualHost, Name: w.Name, Pattern: w.Pattern, ApplyTo: w.ApplyTo,
		Priority: w.Priority, Definition: definition,
	}, nil
}

// policies reads the policies and the operator policies of a virtual host, or of
// all if it is "": two requests, that every user of the management API may make.
func (o *observation) policies(virtualHost string, keep func(topology.ID) bool) []task {
	var (
		mu    sync.Mutex
		lists = map[string][]*topology.BrokerPolicy{}
	)
	read := func(collection string, keep func(topology.ID) bool) task {
		k := policyKind
		k.collection = collection
		return func(c call) error {
			resources, unread, err := k.read(c.named("list "+collection).within(listingFactor*c.timeout), listingPath(k, virtualHost), everything)
			switch {
			case virtualHost != "" && (notFound(err) || denied(err)):
				return nil // doubtAbsence finds out what that means
			case denied(err):
				reason := o.broker.classify("list "+collection, topology.ID{}, err)
				o.found.add(nil, map[topology.ID]error{topology.UnlistedPolicies: reason}, everything)
				return nil
			case err != nil:
				return err
			}
			o.found.add(resources, unread, keep)
			mu.Lock()
			defer mu.Unlock()
			for _, resource := range resources {
				lists[collection] = append(lists[collection], resource.(*topology.BrokerPolicy))
			}
			o.book = topology.NewPolicyBook(lists["policies"], lists["operator-policies"])
			return nil
		}
	}
	none := func(topology.ID) bool { return false } // an operator policy may have the name of a policy
	return []task{read("policies", keep), read("operator-policies", none)}
}

type policySettings struct {
	Pattern    string             `json:"pattern"`
	ApplyTo    string             `json:"apply-to"`
	Priority   int64              `json:"priority"`
	Definition topology.Arguments `json:"definition"`
}

// overflowSettles is how long a queue gets to take an overflow in before it gets
// a length. It is told of both alike, looks up for itself what the policy says by
// then, and so must not find both at once; idle ones take no measurable time.
const overflowSettles = 250 * time.Millisecond

// putPolicy creates or replaces a policy. A classic queue that gets a length and
// reject-publish at once takes the length first, and drops what is above it as
// long as it does not know better (10 messages became 3; measured on 3.10, 4.0 and
// 4.3). So the overflow comes first, with the lengths that there were.
func putPolicy(ctx context.Context, b *Broker, step topology.Step) error {
	want, ok := step.Want.(*topology.BrokerPolicy)
	if !ok {
		return wrongResource(step)
	}
	if err := addressable(want.VirtualHost, want.Name); err != nil {
		return err
	}
	c := b.call(ctx, "declare policy")
	put := func(definition topology.Arguments) error {
		return c.write(http.MethodPut, join("policies", want.VirtualHost, want.Name), policySettings{
			Pattern: want.Pattern, ApplyTo: want.ApplyTo, Priority: want.Priority, Definition: definition,
		})
	}
	live, _ := step.Live.(*topology.BrokerPolicy)
	if first := overflowFirst(want, live); first != nil {
		if there, err := b.queueExists(c, want.QueueID()); err != nil {
			return err
		} else if there {
			if err := put(first); err != nil {
				return err
			}
			select {
			case <-time.After(overflowSettles):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return put(want.Definition)
}

// overflowFirst is the definition that has to stand before the wanted one does;
// nil if none has. Without live there is no policy yet.
func overflowFirst(want, live *topology.BrokerPolicy) topology.Arguments {
	if want.DropsOverflow() || live != nil && !live.DropsOverflow() && live.Pattern == want.Pattern {
		return nil
	}
	first, limits := maps.Clone(want.Definition), false
	for _, length := range []string{topology.PolicyMaxLength, topology.PolicyMaxLengthBytes} {
		if _, set := first[length]; !set {
			continue
		}
		limits = true
		delete(first, length)
		if live != nil && live.Definition[length] != nil {
			first[length] = live.Definition[length]
		}
	}
	if !limits {
		return nil
	}
	return first
}

func (b *Broker) queueExists(c call, id topology.ID) (bool, error) {
	if askable := addressable(id.Name) == nil; !askable {
		return true, nil // be careful
	}
	var found wireQueue
	err := c.get(join("queues", id.Scope, id.Name)+"?disable_stats=true&columns=name", &found)
	if notFound(err) {
		return false, nil
	}
	return err == nil, err
}

// deletePolicy leaves the queues as they are: they lose their settings, and no
// message.
func deletePolicy(ctx context.Context, b *Broker, step topology.Step) error {
	if err := addressable(step.ID.Scope, step.ID.Name); err != nil {
		return err
	}
	return b.call(ctx, "delete policy").write(http.MethodDelete, join("policies", step.ID.Scope, step.ID.Name), nil)
}

// refusedToPolicymakers tells a missing tag from a missing permission: the
// management API has the same words for both, and only one cure helps.
func refusedToPolicymakers(r *response, id topology.ID) bool {
	return id.Kind == topology.KindPolicy && strings.Contains(r.reason, "not authorised")
}
