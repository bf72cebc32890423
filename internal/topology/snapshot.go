package topology

// Snapshot is what a broker had when it was asked.
type Snapshot struct {
	// Objects that exist, by ID. System objects (amq.*, the default exchange,
	// __ topics) may be in it: they can be needed, never owned.
	Objects map[ID]Resource
	// Unread explains, per ID or per ID of an enclosing virtual host, why
	// existence is unknown: access denied, most often.
	Unread map[ID]error
	// Selection is what was asked for. What it covers and Objects lacks does
	// not exist.
	Selection Selection
	// Usage of the objects that Selection.Usage named; absent if unknown.
	Usage map[ID]Usage
	// Depths of the objects that Selection.Depths named; absent if unknown.
	Depths map[ID]Depth
	// Policies of the virtual hosts in which the selection has a policy, all of
	// them; nil if none was read.
	Policies *PolicyBook
	// WholeBindings: what this user declares is never half made (see BindsWhole),
	// even if the call is cut off.
	WholeBindings bool
}

// Selection says what to observe.
type Selection struct {
	// All asks for everything on the cluster. IDs is ignored then.
	All bool
	// Policies adds policies to All, which does without them else: most
	// clusters have nobody who declares one.
	Policies bool
	// IDs asks for these objects only.
	IDs []ID
	// Departing are those of IDs that nobody wants any more: topics among them may come without
	// their config, which takes longer to read than all else.
	Departing []ID
	// Usage asks whether these objects are in use, and beyond that nothing of them.
	Usage []ID
	// Depths asks how much these queues and topics hold. Unlike usage, no
	// deletion is decided by it, and that it cannot be read is no error.
	Depths []ID
}

// UnknownCount is a count that the broker does not tell.
const UnknownCount = -1

// Depth is how much a queue or topic holds, and who reads it, for people to
// watch: it may be some seconds old.
type Depth struct {
	// Messages, unacknowledged ones included; for a topic an upper bound (end
	// offset - start offset). UnknownCount for streams.
	Messages int64
	// Consumers of a queue; UnknownCount for topics.
	Consumers int64
}

// Usage is what a deletion would destroy.
type Usage struct {
	// Messages that the queue or topic holds, unacknowledged ones included;
	// for a topic an upper bound (end offset - start offset).
	Messages int64
	// Consumers of a queue, or members of consumer groups that read a topic.
	Consumers int64
	// Bindings that an exchange is source or destination of.
	Bindings []ID
	// Objects that a virtual host holds, system objects not counted.
	Objects int64
	// Delayed says that the counts may be several seconds old (quorum queues):
	// they prove use, and prove nothing when zero.
	Delayed bool
	// Unknown says that the broker does not tell (streams): treat as used.
	Unknown bool
}

// Presence is what a snapshot knows of one object's existence.
type Presence int

// Existence as far as a snapshot tells.
const (
	Unknown Presence = iota
	Absent
	Present
)

// Look tells whether an object exists, and what it looks like.
func (s *Snapshot) Look(id ID) (Resource, Presence) {
	if r, ok := s.Objects[id]; ok {
		return r, Present
	}
	if s.UnreadReason(id) != nil {
		return nil, Unknown
	}
	return nil, Absent
}

// UnreadReason tells why an object's existence is unknown; nil if it is known.
func (s *Snapshot) UnreadReason(id ID) error {
	if err := s.Unread[id]; err != nil {
		return err
	}
	if id.Kind == KindPolicy {
		if s.Selection.All && !s.Selection.Policies {
			return errPoliciesNotAsked
		}
		if err := s.Unread[UnlistedPolicies]; err != nil {
			return err
		}
	}
	host := id
	if id.Scope != "" {
		host = VirtualHostID(id.Scope)
		if err := s.Unread[host]; err != nil {
			return err
		}
	} else if id.Kind != KindVirtualHost {
		return nil
	}
	if _, listed := s.Objects[host]; !listed {
		return s.Unread[UnlistedVirtualHosts]
	}
	return nil
}
