package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// render is the line of a resource in a listing.
func (w *rabbitWorld) render(resource topology.Resource) string {
	encode := func(arguments map[string]any) string {
		if arguments == nil {
			arguments = map[string]any{}
		}
		text, err := json.Marshal(arguments)
		must(w.h.t, err)
		return string(text)
	}
	line := ""
	switch r := resource.(type) {
	case *topology.VirtualHost:
		return w.renderHost(*r.Description)
	case *topology.Exchange:
		line = fmt.Sprintf("%s exchange %q durable=%t auto_delete=%t %s", r.Type, r.Name, r.Durable, r.AutoDelete, encode(r.Arguments))
	case *topology.Queue:
		all := map[string]any{"x-queue-type": r.Type}
		maps.Copy(all, r.Arguments)
		line = fmt.Sprintf("queue %q durable=%t auto_delete=%t %s", r.Name, r.Durable, r.AutoDelete, encode(all))
	case *topology.Binding:
		line = fmt.Sprintf("binding %q -> %s %q key %q %s", r.Source, r.DestinationType, r.Destination, r.RoutingKey, encode(r.Arguments))
	}
	if resource.ID().Scope == w.side {
		return w.side + ": " + line
	}
	return line
}

func (w *rabbitWorld) hand(e event) string {
	broker := w.here.broker
	w.hands++
	key := fmt.Sprintf("by-hand-%d", w.hands)
	bind := func(queue string) string {
		status, _ := broker.Do(w.h.t, "POST", bindingPath(w.virtualHost, "orders", queue), map[string]any{"routing_key": key})
		w.byHand[fmt.Sprintf("binding %q -> queue %q key %q {}", "orders", queue, key)] = true
		return fmt.Sprintf("bind %s to orders: %d", queue, status)
	}
	switch e.Variant % 6 {
	case 0:
		return bind(foreignObject)
	case 1:
		return bind("work")
	case 2: // another queue in the place of one
		broker.Do(w.h.t, "DELETE", queuePath(w.virtualHost, "work"), nil)
		status, _ := broker.Do(w.h.t, "PUT", queuePath(w.virtualHost, "work"), map[string]any{
			"durable": true, "arguments": map[string]any{"x-queue-type": "classic", "x-max-length": 1000},
		})
		w.messages["work"] = bounds{}
		w.byHand[`queue "work" durable=true auto_delete=false {"x-max-length":1000,"x-queue-type":"classic"}`] = true
		delete(w.kept, w.lineOf("work"))
		return fmt.Sprintf("replace queue work: %d", status)
	case 3:
		if !find(w.h.t, broker, "/api/vhosts/"+url.PathEscape(w.side), nil) {
			return "nothing"
		}
		w.forgetSide()
		w.byHand[w.renderHost(key)] = true
		status, _ := broker.Do(w.h.t, "PUT", "/api/vhosts/"+url.PathEscape(w.side), map[string]any{"description": key})
		return fmt.Sprintf("describe %s: %d", w.side, status)
	}
	var ours []string
	for _, line := range w.lines(w.here) {
		if _, known := w.seen[line]; known {
			ours = append(ours, line)
		}
	}
	if len(ours) == 0 {
		return "nothing"
	}
	return w.destroy(ours[e.Variant/6%len(ours)])
}

// destroy deletes an object that was declared once.
func (w *rabbitWorld) destroy(line string) string {
	path := ""
	switch r := w.seen[line].resource.(type) {
	case *topology.VirtualHost:
		path = "/api/vhosts/" + url.PathEscape(r.Name)
		w.forgetSide()
	case *topology.Exchange:
		path = exchangePath(r.VirtualHost, r.Name)
	case *topology.Queue:
		path = queuePath(r.VirtualHost, r.Name)
		w.messages[r.Name] = bounds{}
	case *topology.Binding:
		ends := "/e/" + url.PathEscape(r.Source) + "/" + r.DestinationType[:1] + "/" + url.PathEscape(r.Destination)
		var all []struct {
			RoutingKey    string `json:"routing_key"`
			PropertiesKey string `json:"properties_key"`
		}
		find(w.h.t, w.here.broker, "/api/bindings/"+url.PathEscape(r.VirtualHost)+ends, &all)
		for _, b := range all {
			if b.RoutingKey == r.RoutingKey {
				path = "/api/bindings/" + url.PathEscape(r.VirtualHost) + ends + "/" + url.PathEscape(b.PropertiesKey)
			}
		}
	}
	delete(w.kept, line)
	if path == "" {
		return "nothing"
	}
	status, _ := w.here.broker.Do(w.h.t, "DELETE", path, nil)
	return fmt.Sprintf("delete %s: %d", line, status)
}

func (w *rabbitWorld) lineOf(queue string) string {
	for line, from := range w.seen {
		if from.resource.ID() == topology.QueueID(w.virtualHost, queue) {
			return line
		}
	}
	return ""
}

// fill publishes to the queue of a declaration that is Ready: who publishes to
// one that is not may meet the end of the one before.
func (w *rabbitWorld) fill(slot int) string {
	d, declared := w.h.declared[slot]
	name, isQueue := declaredQueues()[slot]
	if !declared || !isQueue {
		return "nothing"
	}
	w.h.get(d.object)
	if ready, _, _ := readiness(d.object); !ready {
		return d.object.GetName() + " is not Ready"
	}
	var answer struct{ Routed bool }
	w.here.broker.Must(w.h.t, "POST", "/api/exchanges/"+url.PathEscape(w.virtualHost)+"/amq.default/publish", map[string]any{
		"properties": map[string]any{"delivery_mode": 2}, "routing_key": name, "payload": "precious", "payload_encoding": "string",
	}, &answer)
	if answer.Routed {
		now := w.messages[name]
		w.messages[name] = bounds{now.low + 1, now.high + 1}
	}
	return fmt.Sprintf("%s, routed: %t", name, answer.Routed)
}

func (w *rabbitWorld) drain(slot int) string {
	name, isQueue := declaredQueues()[slot]
	if !isQueue {
		return "nothing"
	}
	status, _ := w.here.broker.Do(w.h.t, "DELETE", queuePath(w.virtualHost, name)+"/contents", nil)
	w.messages[name] = bounds{}
	return fmt.Sprintf("%s: %d", name, status)
}

func (w *rabbitWorld) unblock(slot int) {
	if name, isQueue := declaredQueues()[slot]; isQueue {
		w.h.note("by hand: %s", w.destroy(w.lineOf(name)))
	}
}

// grant: the broker grants its creator a virtual host, after it has made it. Who
// is killed in between has a virtual host and no permissions in it.
func (w *rabbitWorld) grant() {
	w.here.broker.Do(w.h.t, "PUT", "/api/permissions/"+url.PathEscape(w.side)+"/"+url.PathEscape(w.here.broker.User),
		map[string]string{"configure": ".*", "write": ".*", "read": ".*"})
}

func (w *rabbitWorld) judge() []string {
	var out []string
	problem := func(format string, arguments ...any) { out = append(out, fmt.Sprintf(format, arguments...)) }
	live := map[string]bool{}
	for _, line := range w.lines(w.here) {
		live[line] = true
	}
	counts, broken := w.count(live)
	out = append(out, broken...)

	wanted := map[string]bool{}
	for _, slot := range slices.Sorted(maps.Keys(w.h.declared)) {
		d := w.h.declared[slot]
		w.h.get(d.object)
		ready, drift, reason := readiness(d.object)
		if !ready {
			if reason != v1alpha1.ReasonConflict || !w.twinIsReady(slot) {
				problem("%s", describe(d.object))
			}
			continue
		}
		for line, resource := range w.claim(d.object) {
			wanted[line] = true
			if !live[line] && !strings.Contains(drift, resource.ID().String()) {
				problem("%s is declared and missing", line)
			}
		}
	}
	for _, line := range w.foreign {
		if !live[line] {
			problem("%s is somebody else's and missing", line)
		}
	}
	for line := range w.kept {
		if !live[line] {
			problem("%s was retained and is missing", line)
		}
	}
	w.h.get(w.h.connection)
	left := map[string]bool{}
	for _, entry := range w.h.connection.GetStatus().LeftBehind {
		left[entry.Object] = true
	}
	for line := range live {
		from, known := w.seen[line]
		switch {
		case wanted[line] || w.retained[line] || w.byHand[line] || slices.Contains(w.foreign, line):
		case !known:
			problem("%s is there, and nobody ever declared it", line)
		case !left[from.resource.ID().String()]:
			problem("%s is declared no longer, and is there and not listed as left behind", line)
		case !w.isUsed(from, live, counts):
			problem("%s is declared no longer, is left behind, and is not used", line)
		}
	}
	if w.left != nil {
		if diff := cmp.Diff(w.frozen, w.lines(*w.left)); diff != "" {
			problem("the cluster that was left for good changed (-before +after):\n%s", diff)
		}
	} else if diff := cmp.Diff(w.foreign, w.lines(w.there)); diff != "" {
		problem("the cluster that was never accepted changed (-before +after):\n%s", diff)
	}
	return out
}

func (w *rabbitWorld) twinIsReady(slot int) bool {
	if slot != slotTwin && slot != slotOtherTwin {
		return false
	}
	twin, declared := w.h.declared[pairedSlots-slot]
	if !declared {
		return false
	}
	w.h.get(twin.object)
	ready, _, _ := readiness(twin.object)
	return ready
}

// count counts the messages, and tells where there are too few or too many.
func (w *rabbitWorld) count(live map[string]bool) (counts map[string]int, problems []string) {
	counts = map[string]int{}
	channel := w.channel(w.here)
	for _, name := range sortedQueues() {
		begin, there := fmt.Sprintf("queue %q ", name), false
		for line := range live {
			there = there || strings.HasPrefix(line, begin)
		}
		if there {
			counts[name] = ready(w.h.t, channel, name)
		}
		if known := w.messages[name]; counts[name] < known.low || counts[name] > known.high {
			problems = append(problems, fmt.Sprintf("queue %s (there: %t) holds %d messages, not %d to %d", name, there, counts[name], known.low, known.high))
		}
	}
	return counts, problems
}

// isUsed tells whether something may stay although nobody declares it: a queue
// of its claim holds messages, or something that stays needs it.
func (w *rabbitWorld) isUsed(from origin, live map[string]bool, counts map[string]int) bool {
	if name, isQueue := declaredQueues()[from.slot]; isQueue && counts[name] > 0 {
		return true
	}
	for line := range live {
		switch r := from.resource.(type) {
		case *topology.VirtualHost:
			if strings.HasPrefix(line, w.side+": ") {
				return true
			}
		case *topology.Exchange:
			if strings.HasPrefix(line, "binding ") && (strings.Contains(line, fmt.Sprintf("binding %q ", r.Name)) || strings.Contains(line, fmt.Sprintf("-> exchange %q ", r.Name))) {
				return true
			}
		}
	}
	return false
}
