package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/topology"
)

// migrationState looks at a queue and at all that its migration has built: ten
// listings, and who asks.
func (b *Broker) migrationState(ctx context.Context, want *topology.Queue) (migration.State, error) {
	r := &migrationReads{virtualHost: want.VirtualHost, want: want, names: migration.NamesOf(want.Name)}
	err := each(ctx, b.options.Concurrency, r.tasks(), func(ctx context.Context, t task) error {
		return t(b.call(ctx, "look at migration"))
	})
	if err != nil {
		return migration.State{}, err
	}
	return r.state(), nil
}

// migrationReads are the answers of one look.
type migrationReads struct {
	virtualHost string
	want        *topology.Queue
	names       migration.Names

	version          string
	rights           rights
	exchanges        []topology.Resource
	queues           []topology.Resource
	bindings         []topology.Resource
	totals           map[topology.ID]queueUsage
	consumers        []wireQueueConsumer
	shovels          []wireShovel
	statuses         []wireShovelStatus
	policies         []wirePolicy
	operatorPolicies []wirePolicy
}

type wireQueueConsumer struct {
	Tag       string `json:"consumer_tag"`
	Exclusive flag   `json:"exclusive"`
	Queue     struct {
		Name string `json:"name"`
	} `json:"queue"`
}

func (r *migrationReads) tasks() []task {
	scope := "/" + join(r.virtualHost)
	listing := func(k kind, into *[]topology.Resource) task {
		return func(c call) (err error) {
			*into, _, err = k.read(c.within(listingFactor*c.timeout), listingPath(k, r.virtualHost), everything)
			return err
		}
	}
	return []task{
		func(c call) (err error) {
			r.version, err = c.broker.version(c)
			return err
		},
		func(c call) (err error) {
			r.rights, err = c.broker.rights(c)
			return err
		},
		listing(exchangeKind, &r.exchanges), listing(queueKind, &r.queues), listing(bindingKind, &r.bindings),
		func(c call) (err error) {
			r.totals, err = c.broker.totals(c, r.virtualHost, nil)
			return err
		},
		func(c call) error { return c.within(listingFactor*c.timeout).get("consumers"+scope, &r.consumers) },
		func(c call) error { return tagged(c.get("parameters/shovel", &r.shovels), "policymaker") },
		func(c call) error {
			err := c.get("shovels"+scope, &r.statuses)
			if notFound(err) { // no plugin, or no shovel: TryShovels tells
				return nil
			}
			return tagged(err, "monitoring")
		},
		func(c call) error { return tagged(c.get("policies"+scope, &r.policies), "policymaker") },
		func(c call) error {
			err := c.get("operator-policies"+scope, &r.operatorPolicies)
			if denied(err) || notFound(err) {
				return nil
			}
			return err
		},
	}
}

// leavesHalves tells whether a broker of this version leaves a binding half made
// if it is cut off. 4.0 does; 3.10 and 4.3 do not, and those in between have not
// been tried.
func leavesHalves(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return true
	}
	return (major > 3 || minor > 10) && (major < 4 || major == 4 && minor < 3)
}

// tagged says which tag is missing where a listing is refused.
func tagged(err error, tag string) error {
	if !denied(err) {
		return err
	}
	return &topology.Error{Class: topology.ClassAccessDenied, Err: err,
		Reason: "a migration moves messages with a shovel, which takes the tags policymaker and monitoring (or administrator): the user lacks " + tag}
}

func (r *migrationReads) state() migration.State {
	s := migration.State{
		Queues: map[string]*topology.Queue{}, Exchanges: map[string]*topology.Exchange{}, Messages: map[string]int64{},
		Modern: !strings.HasPrefix(r.version, "3."), Halves: leavesHalves(r.version), Uncut: r.rights.administrator,
	}
	for _, resource := range r.exchanges {
		if x, ok := resource.(*topology.Exchange); ok {
			s.Exchanges[x.Name] = x
		}
	}
	ours := func(name string) bool { return name == r.want.Name || r.names.Ours(name) }
	for _, resource := range r.queues {
		q, ok := resource.(*topology.Queue)
		if !ok {
			continue
		}
		if ours(q.Name) {
			s.Queues[q.Name] = q
		}
		if returnsTo(q, r.want.Name) {
			s.Delays = append(s.Delays, q.Name)
		}
	}
	slices.Sort(s.Delays)
	for _, resource := range r.bindings {
		if found, ok := resource.(*topology.Binding); ok && (ours(found.Destination) || r.names.Ours(found.Source)) {
			s.Bindings = append(s.Bindings, found)
		}
	}
	for id, held := range r.totals {
		if held.messages != nil {
			s.Messages[id.Name] = *held.messages
		}
	}
	for _, c := range r.consumers {
		if c.Queue.Name == r.want.Name {
			s.Consumers = append(s.Consumers, migration.Consumer{Tag: c.Tag, Exclusive: bool(c.Exclusive)})
		}
	}
	r.shovelsInto(&s)
	r.policiesInto(&s)
	return s
}

// returnsTo tells whether a queue gives its messages back to another when their
// time is over, through the default exchange, and forgets them if that is not
// there.
func returnsTo(q *topology.Queue, name string) bool {
	exchange, dead := q.Arguments["x-dead-letter-exchange"].(string)
	_, timed := q.Arguments["x-message-ttl"]
	keeps := q.Type == topology.QueueTypeQuorum && q.Arguments["x-dead-letter-strategy"] == "at-least-once"
	return dead && exchange == "" && timed && !keeps && q.Arguments["x-dead-letter-routing-key"] == name
}

func (r *migrationReads) shovelsInto(s *migration.State) {
	for _, shovel := range r.shovels {
		switch {
		case shovel.VirtualHost == r.virtualHost && shovel.Name == r.names.Shovel:
			s.Shovel = &migration.Shovel{Source: shovel.Value.SourceQueue}
		case shovel.names(r.virtualHost, r.want.Name):
			s.OtherShovels = append(s.OtherShovels, fmt.Sprintf("%q", shovel.Name))
		}
	}
	slices.Sort(s.OtherShovels)
	s.ShovelGone = s.Shovel == nil
	for _, status := range r.statuses {
		if status.VirtualHost != r.virtualHost || status.Name != r.names.Shovel {
			continue
		}
		s.ShovelGone = false
		if s.Shovel != nil {
			s.Shovel.Status = status.State
			for _, why := range []any{status.Error, status.Reason} {
				if why != nil {
					s.Shovel.Reason = oneLine(fmt.Sprint(why))
				}
			}
		}
	}
}
