package rabbitmq

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	rabbithole "github.com/michaelklishin/rabbit-hole/v2"

	"github.com/warrener-dev/warrener/internal/topology"
)

// virtualHostKind has no locate: only administrators may read a single virtual
// host, while the listing shows everybody what they may see. Limits are a
// listing of their own.
var virtualHostKind = kind{
	collection: "vhosts",
	columns:    virtualHostColumns,
	read:       readVirtualHosts,
	create:     putVirtualHost,
	update:     putVirtualHost,
	remove:     deleteVirtualHost,
}

const (
	virtualHostColumns = "name,description,tags,default_queue_type,metadata"

	limitMaxConnections = "max-connections"
	limitMaxQueues      = "max-queues"
)

type wireVirtualHost struct {
	Name             string   `json:"name"`
	Description      string   `json:"description"`
	Tags             []string `json:"tags"`
	DefaultQueueType string   `json:"default_queue_type"`
	Metadata         struct {
		// nil before 3.11, which has no default queue types.
		DefaultQueueType *string `json:"default_queue_type"`
	} `json:"metadata"`
}

func (w wireVirtualHost) id() (topology.ID, bool) { return topology.VirtualHostID(w.Name), true }

// resource has empty values where the broker has: "" is what a declared empty
// description must equal, and a released field counts it as unset.
func (w wireVirtualHost) resource() (topology.Resource, error) { //nolint:unparam // wire
	v := &topology.VirtualHost{Name: w.Name, Description: &w.Description, Tags: w.Tags}
	if v.Tags == nil {
		v.Tags = []string{}
	}
	slices.Sort(v.Tags)
	if w.hasDefaultQueueType() {
		v.DefaultQueueType = &w.DefaultQueueType
	}
	return v, nil
}

// hasDefaultQueueType: 3.10 says "undefined" of every virtual host, 4.0 of one
// whose type it does not know.
func (w wireVirtualHost) hasDefaultQueueType() bool {
	return w.DefaultQueueType != "" && w.DefaultQueueType != "undefined"
}

type wireLimits struct {
	VirtualHost string `json:"vhost"`
	Value       limits `json:"value"`
}

type limits map[string]int64

// UnmarshalJSON takes the [] that 3.10 writes for an empty table.
func (l *limits) UnmarshalJSON(raw []byte) error {
	var table topology.Arguments
	if err := table.UnmarshalJSON(raw); err != nil {
		return err
	}
	*l = limits{}
	for name, value := range table {
		if number, ok := value.(int64); ok {
			(*l)[name] = number
		}
	}
	return nil
}

func readVirtualHosts(c call, path string, keep func(topology.ID) bool) ([]topology.Resource, map[topology.ID]error, error) {
	resources, unread, err := keepAs[wireVirtualHost](c, path, keep)
	if err != nil {
		return nil, nil, err
	}
	var all []wireLimits
	if err := c.get("vhost-limits", &all); err != nil {
		return nil, nil, err
	}
	byName := make(map[string]limits, len(all))
	for _, l := range all {
		byName[l.VirtualHost] = l.Value
	}
	for _, resource := range resources {
		v := resource.(*topology.VirtualHost)
		if value, set := byName[v.Name][limitMaxConnections]; set {
			v.MaxConnections = &value
		}
		if value, set := byName[v.Name][limitMaxQueues]; set {
			v.MaxQueues = &value
		}
	}
	return resources, unread, nil
}

// putVirtualHost creates or changes. What a PUT leaves out is reset by the
// broker (description and tags by all, the default queue type by 4.3), so what
// is not declared is sent as it is now. The creator gets all permissions in a
// new virtual host from the broker itself.
func putVirtualHost(ctx context.Context, b *Broker, step topology.Step) error {
	want, ok := step.Want.(*topology.VirtualHost)
	if !ok {
		return wrongResource(step)
	}
	if err := addressable(want.Name); err != nil {
		return err
	}
	c := b.call(ctx, "declare virtual host")
	now, err := b.virtualHost(c, want.Name)
	if err != nil && !notFound(err) {
		return err
	}
	if err := c.write(http.MethodPut, join("vhosts", want.Name), virtualHostBody(want, now)); err != nil {
		return err
	}
	if wanted := want.DefaultQueueType; wanted != nil && *wanted != now.DefaultQueueType {
		if err := b.checkDefaultQueueType(c, want.Name, *wanted); err != nil {
			return err
		}
	}
	return putLimits(c, want)
}

func (b *Broker) virtualHost(c call, name string) (wireVirtualHost, error) {
	var now wireVirtualHost
	err := c.get(join("vhosts", name)+"?columns="+virtualHostColumns, &now)
	return now, err
}

type virtualHostSettings struct {
	Description      string   `json:"description"`
	Tags             []string `json:"tags"`
	DefaultQueueType string   `json:"default_queue_type,omitempty"`
}

func virtualHostBody(want *topology.VirtualHost, now wireVirtualHost) virtualHostSettings {
	body := virtualHostSettings{Description: now.Description, Tags: now.Tags}
	if now.hasDefaultQueueType() {
		body.DefaultQueueType = now.DefaultQueueType
	}
	if want.ReleasesDescription() {
		body.Description = ""
	}
	if want.ReleasesTags() {
		body.Tags = nil
	}
	if want.Description != nil {
		body.Description = *want.Description
	}
	if want.Tags != nil {
		body.Tags = want.Tags
	}
	if want.DefaultQueueType != nil {
		body.DefaultQueueType = *want.DefaultQueueType
	}
	if body.Tags == nil {
		body.Tags = []string{} // not null
	}
	return body
}

// checkDefaultQueueType looks whether the broker took it: 3.10 ignores the
// field, and 4.0 turns a type that it does not know into "undefined".
func (b *Broker) checkDefaultQueueType(c call, name, wanted string) error {
	now, err := b.virtualHost(c, name)
	if err != nil {
		return err
	}
	switch {
	case now.DefaultQueueType == wanted:
		return nil
	case now.Metadata.DefaultQueueType == nil:
		return &topology.Error{Class: topology.ClassUnsupported,
			Reason: "this RabbitMQ has no default queue type per virtual host (3.11 brought it): remove defaultQueueType"}
	}
	return &topology.Error{Class: topology.ClassRejected, Reason: fmt.Sprintf("this RabbitMQ does not know the queue type %q", wanted)}
}

func putLimits(c call, want *topology.VirtualHost) error {
	set := rabbithole.VhostLimitsValues{}
	if want.MaxConnections != nil {
		set[limitMaxConnections] = int(*want.MaxConnections)
	}
	if want.MaxQueues != nil {
		set[limitMaxQueues] = int(*want.MaxQueues)
	}
	var unset rabbithole.VhostLimits
	if want.ReleasesMaxConnections() {
		unset = append(unset, limitMaxConnections)
	}
	if want.ReleasesMaxQueues() {
		unset = append(unset, limitMaxQueues)
	}
	client := c.client()
	if _, err := client.PutVhostLimits(want.Name, set); err != nil { //nolint:bodyclose // read to the end in RoundTrip
		return err
	}
	if _, err := client.DeleteVhostLimits(want.Name, unset); err != nil && !notFound(err) { //nolint:bodyclose // likewise
		return err
	}
	return nil
}

func deleteVirtualHost(ctx context.Context, b *Broker, step topology.Step) error {
	name := step.ID.Name
	if err := addressable(name); err != nil {
		return err
	}
	c := b.call(ctx, "delete virtual host")
	if step.IfUnused {
		objects, err := b.countObjects(c, name)
		if err != nil {
			return err
		}
		if objects > 0 {
			return inUse("it holds %s", count(objects, "object"))
		}
	}
	_, err := c.client().DeleteVhost(name) //nolint:bodyclose // read to the end in RoundTrip
	if status(err) == http.StatusPreconditionFailed {
		return inUse("%s", b.classify("", step.ID, err).Reason) // protected from deletion: 4.x
	}
	return err
}
