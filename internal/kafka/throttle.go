package kafka

import (
	"context"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// throttle is what bounds the moves of one topic, as it was found.
//
// The order of writes makes a crash harmless: the topic is marked before the
// brokers get a rate, and loses its mark after they have lost it. So a rate of
// ours is never there without a marked topic, whose operation comes back here.
type throttle struct {
	*Broker
	topic topology.ID
	nodes []node
	// away are brokers that have replicas of the topic and are not up.
	away   []int32
	wanted int64 // bytes per second; 0: none
	mark   mark
	lists  map[string]string
	// rates by broker and config; only those that are set. Read by adjust.
	rates map[int32]map[string]int64
}

func (b *Broker) readThrottle(ctx context.Context, want *topology.Topic, now replicaState) (*throttle, error) {
	t := &throttle{Broker: b, topic: want.ID(), nodes: now.nodes, wanted: want.Throttle}
	for _, p := range now.places {
		for _, id := range p.replicas {
			if !slices.ContainsFunc(now.nodes, func(n node) bool { return n.id == id }) && !slices.Contains(t.away, id) {
				t.away = append(t.away, id)
			}
		}
	}
	lists, unread, err := b.readLists(ctx, []string{want.Name})
	if err == nil {
		err = unread[want.Name]
	}
	if err != nil {
		return nil, about(err, want.ID())
	}
	t.lists = lists[want.Name]
	t.mark = markOf(t.lists[leaderReplicas], t.lists[followerReplicas])
	return t, nil
}

// isOurs tells whether there is something to take away.
func (t *throttle) isOurs() bool { return t.mark == ours || t.mark == lent }

// readLists reads who is throttled, by topic and config. Topics that cannot be read are in the
// second map.
func (b *Broker) readLists(ctx context.Context, topics []string) (map[string]map[string]string, map[string]error, error) {
	read, unread, err := b.readKeys(ctx, topics, func(string) []string { return []string{leaderReplicas, followerReplicas} })
	lists := map[string]map[string]string{}
	for name, topic := range read {
		lists[name] = topic.Config
	}
	return lists, unread, err
}

// readRates asks every broker that is up for its own.
func (t *throttle) readRates(ctx context.Context) error {
	ids := make([]int32, len(t.nodes))
	for i, n := range t.nodes {
		ids[i] = n.id
	}
	rates, err := t.ratesOf(ctx, ids)
	if err != nil {
		return about(err, t.topic)
	}
	t.rates = rates
	return nil
}

// ratesOf reads the rates of brokers, by broker and config; only those that are set.
func (b *Broker) ratesOf(ctx context.Context, brokers []int32) (map[int32]map[string]int64, error) {
	request := kmsg.NewPtrDescribeConfigsRequest()
	for _, id := range brokers {
		request.Resources = append(request.Resources, describeKeys(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id)), leaderRate, followerRate))
	}
	response, err := ask[*kmsg.DescribeConfigsResponse](ctx, b, opThrottle, request)
	if err != nil {
		return nil, err
	}
	rates := map[int32]map[string]int64{}
	for _, r := range response.Resources {
		if err := b.codeError(opThrottle, topology.ID{}, r.ErrorCode, r.ErrorMessage); err != nil {
			return nil, err
		}
		id, _ := strconv.ParseInt(r.ResourceName, 10, 32)
		for _, c := range r.Configs {
			dynamic := c.Source == kmsg.ConfigSourceDynamicBrokerConfig || c.Source == kmsg.ConfigSourceDynamicDefaultBrokerConfig
			if !dynamic || c.Value == nil {
				continue
			}
			if rate, err := strconv.ParseInt(*c.Value, 10, 64); err == nil {
				if rates[int32(id)] == nil {
					rates[int32(id)] = map[string]int64{}
				}
				rates[int32(id)][c.Name] = rate
			}
		}
	}
	return rates, nil
}

// isUnthrottled tells whether no broker that is up has a rate, so that no topic's lists have
// to be read to find what is ours. In doubt they are: this process may have set one that does not
// show yet, and not everybody may read what brokers have.
func (b *Broker) isUnthrottled(ctx context.Context) bool {
	if b.lastRate.Load() != 0 {
		return false
	}
	up, err := b.describeBrokers(ctx, opThrottle)
	if err != nil {
		return false
	}
	ids := make([]int32, len(up.Brokers))
	for i, broker := range up.Brokers {
		ids[i] = broker.NodeID
	}
	rates, err := b.ratesOf(ctx, ids)
	return err == nil && len(rates) == 0
}

// adjust throttles the moves that copy data, before they begin. What somebody
// else has set stays: their rates hold for our replicas then, and their lists
// keep ours away.
func (t *throttle) adjust(ctx context.Context, copying []move) error {
	if t.wanted == 0 && t.isOurs() {
		return t.remove(ctx)
	}
	if t.wanted == 0 || t.mark == foreign || len(copying) == 0 {
		return nil
	}
	if err := t.readRates(ctx); err != nil {
		return err
	}
	mark := ours
	if len(t.rates) > 0 && t.mark != ours {
		others, err := t.readOthers(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(others, ours) {
			mark = lent
		}
	}
	if err := t.setLists(ctx, mark, copying); err != nil {
		return err
	}
	if mark == lent {
		return nil
	}
	return t.setRates(ctx)
}

func (t *throttle) setLists(ctx context.Context, mark mark, copying []move) error {
	leaders, followers := mark.throttled(copying)
	if t.lists[leaderReplicas] != leaders || t.lists[followerReplicas] != followers {
		err := t.alter(ctx, kmsg.ConfigResourceTypeTopic, map[string]map[string]string{
			t.topic.Name: {leaderReplicas: leaders, followerReplicas: followers},
		})
		if err != nil {
			return err
		}
	}
	t.mark = mark
	return nil
}

// setRates gives a rate to brokers without one, and another one to those that
// have the rate that was set last: the declaration has changed. A rate that is
// neither was set by hand, and is not fought.
func (t *throttle) setRates(ctx context.Context) error {
	keys := []string{leaderRate, followerRate}
	replace := false
	for _, rates := range t.rates {
		for _, rate := range rates {
			t.lastRate.CompareAndSwap(0, rate) // of an earlier life: the topic was marked
			replace = replace || rate == t.lastRate.Load() && rate != t.wanted
		}
	}
	if replace {
		others, err := t.readOthers(ctx)
		if err != nil {
			return err
		}
		// Two topics with different rates would be at it for ever.
		replace = !slices.Contains(others, ours)
	}
	change := map[string]map[string]string{}
	for _, n := range t.nodes {
		for _, key := range keys {
			rate, set := t.rates[n.id][key]
			if set && !(replace && rate == t.lastRate.Load()) {
				continue
			}
			name := strconv.Itoa(int(n.id))
			if change[name] == nil {
				change[name] = map[string]string{}
			}
			change[name][key] = strconv.FormatInt(t.wanted, 10)
		}
	}
	if len(change) == 0 {
		return nil
	}
	t.lastRate.Store(t.wanted)
	return t.alter(ctx, kmsg.ConfigResourceTypeBroker, change)
}

// readOthers lists the marks of other topics that are on the move.
func (t *throttle) readOthers(ctx context.Context) ([]mark, error) {
	moving, err := t.listReassignments(ctx, nil)
	if err != nil {
		return nil, about(err, t.topic)
	}
	var names []string
	for name := range moving {
		if name != t.topic.Name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	lists, unread, err := t.readLists(ctx, names)
	if err == nil && len(names) == 1 {
		err = unread[names[0]]
	}
	if err != nil {
		return nil, about(err, t.topic)
	}
	var marks []mark
	for _, of := range lists {
		if k := markOf(of[leaderReplicas], of[followerReplicas]); k != free {
			marks = append(marks, k)
		}
	}
	return marks, nil
}

// remove takes away what is ours: the rates first, unless another topic that is
// on the move needs them, and then the lists.
func (t *throttle) remove(ctx context.Context) error {
	if t.mark == ours {
		if len(t.away) > 0 {
			return t.failure(topology.ClassPending, opThrottle, t.topic,
				"the throttle comes off when "+describeIDs(t.away)+", with replicas of the topic, can be reached", nil)
		}
		others, err := t.readOthers(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(others, ours) && !slices.Contains(others, foreign) {
			if err := t.removeRates(ctx); err != nil {
				return err
			}
		}
	}
	err := t.alter(ctx, kmsg.ConfigResourceTypeTopic, map[string]map[string]string{
		t.topic.Name: {leaderReplicas: "", followerReplicas: ""},
	})
	if err == nil {
		t.mark = free
	}
	return err
}

// unthrottle takes away what is ours of a topic's throttle, whatever is under way.
func (b *Broker) unthrottle(ctx context.Context, topic topology.ID) error {
	b.reassigning.Lock()
	defer b.reassigning.Unlock()
	now, err := b.readReplicas(ctx, topic)
	if err != nil {
		return err
	}
	t, err := b.readThrottle(ctx, &topology.Topic{Name: topic.Name}, now)
	if err != nil || !t.isOurs() {
		return err
	}
	t.away = nil // they are not waited for
	return t.remove(ctx)
}

// removeRates unsets them wherever they may be: a broker that got one a moment
// ago may not show it yet.
func (t *throttle) removeRates(ctx context.Context) error {
	change := map[string]map[string]string{}
	for _, n := range t.nodes {
		change[strconv.Itoa(int(n.id))] = map[string]string{leaderRate: "", followerRate: ""}
	}
	t.lastRate.Store(0)
	return t.alter(ctx, kmsg.ConfigResourceTypeBroker, change)
}

// alter sets configs, by resource and key; "" unsets.
func (t *throttle) alter(ctx context.Context, kind kmsg.ConfigResourceType, change map[string]map[string]string) error {
	if len(change) == 0 {
		return nil
	}
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for name, configs := range change {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kind, name
		for key, value := range configs {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Op = key, kmsg.IncrementalAlterConfigOpDelete
			if value != "" {
				c.Op, c.Value = kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(value)
			}
			r.Configs = append(r.Configs, c)
		}
		request.Resources = append(request.Resources, r)
	}
	response, err := ask[*kmsg.IncrementalAlterConfigsResponse](ctx, t.Broker, opThrottle, request)
	if err != nil {
		return about(err, t.topic)
	}
	for _, r := range response.Resources {
		if err := t.codeError(opThrottle, t.topic, r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// describe tells people what holds the moves back.
func (t *throttle) describe() string {
	switch {
	case t.wanted == 0:
		return ""
	case t.mark == foreign:
		return "without the declared throttle, since somebody else has set throttled replicas on this topic: they stay as they are"
	case t.mark == lent:
		return "throttled by the rate that somebody else has set on the brokers: it stays as it is"
	case t.mark == ours:
		return "throttled to " + bytesText(t.wanted) + "/s on each broker"
	}
	return ""
}
