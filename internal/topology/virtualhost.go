package topology

import (
	"slices"
	"strconv"
	"strings"
)

// Fields of a virtual host that can be declared one by one.
const (
	fieldDescription      = "description"
	fieldTags             = "tags"
	fieldDefaultQueueType = "default_queue_type"
	fieldMaxConnections   = "limits.max-connections"
	fieldMaxQueues        = "limits.max-queues"
)

// VirtualHost is a RabbitMQ virtual host. A nil field is not declared, and so
// never compared. All of them can change in place.
type VirtualHost struct {
	Name             string
	Description      *string
	Tags             []string // nil: not declared; order does not count
	DefaultQueueType *string
	MaxConnections   *int64
	MaxQueues        *int64

	// released fields are to be unset; see Partial.
	released []string
}

// ID implements Resource.
func (v *VirtualHost) ID() ID { return VirtualHostID(v.Name) }

// VirtualHostID identifies a virtual host by name.
func VirtualHostID(name string) ID { return ID{Kind: KindVirtualHost, Name: name} }

// UnlistedVirtualHosts is a key of Snapshot.Unread: why virtual hosts that are
// not in Snapshot.Objects may exist all the same, with all that is in them. It
// is the ID of no virtual host, since their names are not empty.
var UnlistedVirtualHosts = VirtualHostID("")

// Needs implements Resource: a virtual host stands on its own.
func (v *VirtualHost) Needs() []ID { return nil }

// Diff implements Resource.
func (v *VirtualHost) Diff(live Resource) []Change {
	found, ok := live.(*VirtualHost)
	if !ok {
		return wrongKind(v, live)
	}
	var changes []Change
	wanted, present := v.fields(), found.fields()
	for path, value := range wanted {
		if now, set := present[path]; !set && isEmpty(value) {
			continue // a broker may leave out what is empty
		} else if !set {
			changes = append(changes, Change{Path: path, From: Unset, To: value})
		} else if now != value {
			changes = append(changes, Change{Path: path, From: now, To: value})
		}
	}
	for _, path := range v.released {
		if now, set := present[path]; set && !isEmpty(now) {
			changes = append(changes, Change{Path: path, From: now, To: Unset})
		}
	}
	return sortChanges(changes)
}

// isEmpty tells whether a rendered field says the same as one that is not set.
func isEmpty(rendered string) bool { return rendered == `""` || rendered == "[]" }

// DeclaredFields implements Partial.
func (v *VirtualHost) DeclaredFields() []string {
	return sortedKeys(v.fields())
}

// Releasing implements Partial.
func (v *VirtualHost) Releasing(fields []string) Resource {
	declared := v.fields()
	released := *v
	released.released = slices.DeleteFunc(slices.Clone(fields), func(f string) bool {
		_, again := declared[f]
		// A default queue type cannot be unset once it is set: the broker keeps
		// the last one. It is no longer ours, and that is all.
		return again || f == fieldDefaultQueueType
	})
	return &released
}

// Released tells whether a field is to be unset, by the path that a Change
// carries.
func (v *VirtualHost) Released(path string) bool { return slices.Contains(v.released, path) }

// ReleasesDescription and its kin spare the adapter the field paths.
func (v *VirtualHost) ReleasesDescription() bool { return v.Released(fieldDescription) }

// ReleasesTags tells whether the tags are to be emptied.
func (v *VirtualHost) ReleasesTags() bool { return v.Released(fieldTags) }

// ReleasesMaxConnections tells whether the limit is to be removed.
func (v *VirtualHost) ReleasesMaxConnections() bool { return v.Released(fieldMaxConnections) }

// ReleasesMaxQueues tells whether the limit is to be removed.
func (v *VirtualHost) ReleasesMaxQueues() bool { return v.Released(fieldMaxQueues) }

// fields renders what is declared, by path.
func (v *VirtualHost) fields() map[string]string {
	out := map[string]string{}
	if v.Description != nil {
		out[fieldDescription] = strconv.Quote(*v.Description)
	}
	if v.Tags != nil {
		out[fieldTags] = renderTags(v.Tags)
	}
	if v.DefaultQueueType != nil {
		out[fieldDefaultQueueType] = *v.DefaultQueueType
	}
	if v.MaxConnections != nil {
		out[fieldMaxConnections] = strconv.FormatInt(*v.MaxConnections, 10)
	}
	if v.MaxQueues != nil {
		out[fieldMaxQueues] = strconv.FormatInt(*v.MaxQueues, 10)
	}
	return out
}

func renderTags(tags []string) string {
	quoted := make([]string, len(tags))
	for i, tag := range tags {
		quoted[i] = quoteName(tag)
	}
	slices.Sort(quoted)
	return "[" + strings.Join(quoted, ",") + "]"
}
