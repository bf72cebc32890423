package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Cluster is what the engine knows of one broker cluster between passes. Its
// methods may be called from several goroutines; passes exclude each other only
// where they decide about the same objects, and changes of claims wait for
// nothing but a map.
type Cluster struct {
	store   Store
	clock   Clock
	breaker plan.Breaker

	// locks are held by whoever observes, plans and applies.
	locks *locks
	// books guards the store: whoever writes shares it, whoever loads does not.
	books sync.RWMutex

	// state guards everything below, for moments only.
	state  sync.Mutex
	world  *plan.World
	loaded bool
	// epoch counts how often the inventory was loaded: what was planned before
	// the last time must not be written after it.
	epoch    int
	ledger   *ledger
	dirty    *dirty
	waiting  map[topology.ID]map[topology.OwnerKey]struct{}
	settling map[topology.ID]settlement
	// draining: what living owners declare no longer, and that is not empty.
	draining map[topology.ID]*drain
	// operations to be carried on with, and how far they are.
	operations map[topology.ID]*operation
	tally      tally
	// setbacks pace operations that failed.
	setbacks *ledger
	rollouts map[topology.ConnectionKey]rollout
	// written: when this process last changed an object, so that an older
	// snapshot is not believed about it.
	written map[topology.ID]time.Time
	// inherited bindings, until they are known to be whole.
	inherited map[topology.ID]inheritance
	// departures that the breaker counts, and what the store has of them.
	departures, stored topology.Departures
	// sweeps under way, by connection: when their snapshots were taken.
	sweeps map[topology.ConnectionKey]time.Time
}

// settlement is the wait of a queue that seems empty, by counts that lag.
type settlement struct {
	since time.Time
	// over: a plan has counted on it. What comes next is somebody else's turn:
	// the ledger's, or that of another queue of the same owner.
	over bool
}

// NewCluster returns a cluster whose inventory is loaded by its first pass.
func NewCluster(store Store, clock Clock) *Cluster {
	c := &Cluster{
		store: store, clock: clock, breaker: plan.DefaultBreaker, locks: newLocks(),
		world: plan.NewWorld(), ledger: newLedger(),
		waiting:    map[topology.ID]map[topology.OwnerKey]struct{}{},
		settling:   map[topology.ID]settlement{},
		draining:   map[topology.ID]*drain{},
		operations: map[topology.ID]*operation{},
		tally:      newTally(),
		setbacks:   newLedger(),
		rollouts:   map[topology.ConnectionKey]rollout{},
		written:    map[topology.ID]time.Time{},
		inherited:  map[topology.ID]inheritance{},
		sweeps:     map[topology.ConnectionKey]time.Time{},
	}
	c.dirty = newDirty(clock, c.kindOf)
	return c
}

// SetClaim adds or replaces a claim. The owner, and whoever competes or shares
// with it, is dirty afterwards.
func (c *Cluster) SetClaim(claim *topology.Claim) {
	c.state.Lock()
	defer c.state.Unlock()
	c.setClaim(claim)
}

func (c *Cluster) setClaim(claim *topology.Claim) {
	key := claim.Owner.OwnerKey
	c.touchNeighbours(key)
	c.world.SetClaim(claim)
	c.touchNeighbours(key)
	c.dirty.add(key)
}

// RemoveClaim takes an owner out; witnessed as in plan.World.
func (c *Cluster) RemoveClaim(key topology.OwnerKey, witnessed bool) {
	c.state.Lock()
	defer c.state.Unlock()
	c.removeClaim(key, witnessed)
}

func (c *Cluster) removeClaim(key topology.OwnerKey, witnessed bool) {
	c.touchNeighbours(key)
	c.world.RemoveClaim(key, witnessed)
	if c.world.Holds(key) {
		c.dirty.add(key)
	} else {
		c.dirty.remove(key)
	}
}

// setEntry puts an entry into the world, and returns the one that it replaces: its owners
// come to hold it, others may cease to.
func (c *Cluster) setEntry(entry topology.Entry) (was topology.Entry) {
	was, _ = c.world.Entry(entry.ID)
	c.world.SetEntry(entry)
	c.dirty.sort(was.Owners...)
	c.dirty.sort(entry.Owners...)
	return was
}

// dropEntry takes an entry out of the world, and returns it.
func (c *Cluster) dropEntry(id topology.ID) (was topology.Entry) {
	was, _ = c.world.Entry(id)
	c.world.DropEntry(id)
	c.dirty.sort(was.Owners...)
	return was
}

// touchNeighbours makes dirty whoever wants what an owner wants or has.
func (c *Cluster) touchNeighbours(key topology.OwnerKey) {
	touch := func(id topology.ID) {
		for _, other := range c.world.Wanters(id) {
			if other != key {
				c.dirty.add(other)
			}
		}
	}
	if claim := c.world.Claim(key); claim != nil {
		for _, want := range claim.Want {
			touch(want.Resource.ID())
		}
	}
	for _, id := range c.world.Holdings(key) {
		touch(id)
	}
}

// Claim returns what an owner claims, or nil. It must not be changed.
func (c *Cluster) Claim(key topology.OwnerKey) *topology.Claim {
	c.state.Lock()
	defer c.state.Unlock()
	return c.world.Claim(key)
}

// Departed tells whether the end of an owner was seen happen, as in plan.World.
func (c *Cluster) Departed(owner topology.Owner) bool {
	c.state.Lock()
	defer c.state.Unlock()
	return c.world.Departed(owner)
}

// Touch makes owners dirty.
func (c *Cluster) Touch(keys ...topology.OwnerKey) {
	c.state.Lock()
	defer c.state.Unlock()
	c.dirty.add(keys...)
}

// Owners lists whoever claims or still holds something through a connection,
// sorted.
func (c *Cluster) Owners(connection topology.ConnectionKey) []topology.OwnerKey {
	c.state.Lock()
	defer c.state.Unlock()
	var out []topology.OwnerKey
	for _, key := range c.world.Claims() {
		if c.world.Claim(key).Connection == connection {
			out = append(out, key)
		}
	}
	for _, key := range c.world.Absent() {
		if c.through(key, connection) {
			out = append(out, key)
		}
	}
	return out
}

// through tells whether an owner's objects are reached over a connection.
func (c *Cluster) through(key topology.OwnerKey, connection topology.ConnectionKey) bool {
	if claim := c.world.Claim(key); claim != nil {
		return claim.Connection == connection
	}
	for _, id := range c.world.Holdings(key) {
		if entry, _ := c.world.Entry(id); entry.Connection == connection {
			return true
		}
	}
	return false
}

// reaches tells whether anybody wants or holds an object over a connection.
func (c *Cluster) reaches(id topology.ID, connection topology.ConnectionKey) bool {
	return slices.ContainsFunc(c.concerned(id), func(key topology.OwnerKey) bool { return c.through(key, connection) })
}

// concerned lists whoever holds or wants an object.
func (c *Cluster) concerned(id topology.ID) []topology.OwnerKey {
	entry, _ := c.world.Entry(id)
	return slices.Concat(entry.Owners, c.world.Wanters(id))
}

// Stats are figures for metrics.
type Stats struct{ Claims, Owned, Dirty, Ledger int }

// Stats returns the figures of this moment.
func (c *Cluster) Stats() Stats {
	c.state.Lock()
	defer c.state.Unlock()
	return Stats{Claims: c.world.ClaimCount(), Owned: c.world.Entries(), Dirty: c.dirty.len(), Ledger: len(c.ledger.entries)}
}

// Holdings counts the objects that owners hold over a connection, and lists
// those whose owners are all gone: to be deleted, or left behind. Sorted.
func (c *Cluster) Holdings(connection topology.ConnectionKey) (owned int, ended []topology.Entry) {
	c.state.Lock()
	defer c.state.Unlock()
	c.world.EachEntry(func(e topology.Entry) {
		switch {
		case e.Connection != connection:
		case slices.ContainsFunc(e.Owners, func(k topology.OwnerKey) bool { return c.world.Claim(k) != nil }):
			owned++
		default:
			ended = append(ended, e)
		}
	})
	slices.SortFunc(ended, func(a, b topology.Entry) int { return a.ID.Compare(b.ID) })
	return owned, ended
}

// RetryNow makes every failed object due at once: the connection is back, its
// credentials changed, or somebody asked for it.
func (c *Cluster) RetryNow() {
	c.state.Lock()
	defer c.state.Unlock()
	c.ledger.expire()
	c.setbacks.expire()
}

// load reads the inventory once per process, and again after Unload.
func (c *Cluster) load(ctx context.Context) error {
	if c.isLoaded() { // without a wait for those who write
		return nil
	}
	c.books.Lock()
	defer c.books.Unlock()
	if c.isLoaded() {
		return nil
	}
	inventory, departures, err := c.store.Load(ctx)
	if err != nil {
		return err
	}
	c.state.Lock()
	defer c.state.Unlock()
	// What is still there is replaced and not dropped first: with an owner's
	// last entry goes what was witnessed of its end.
	var lost []topology.ID
	c.world.EachEntry(func(e topology.Entry) {
		if _, stored := inventory[e.ID]; !stored {
			lost = append(lost, e.ID)
		}
	})
	for _, id := range lost {
		c.dropEntry(id)
	}
	for _, entry := range inventory {
		c.setEntry(entry)
	}
	c.dirty.add(c.world.Absent()...)
	if c.epoch == 0 {
		c.inherit(inventory)
		for _, id := range c.world.Underway() {
			c.tally.begin(id, c.clock(), true)
		}
	}
	c.departures, c.stored = departures, departures
	c.loaded = true
	c.epoch++
	return nil
}

func (c *Cluster) isLoaded() bool {
	c.state.Lock()
	defer c.state.Unlock()
	return c.loaded
}

// Unload makes the next pass read the inventory again.
func (c *Cluster) Unload() {
	c.state.Lock()
	defer c.state.Unlock()
	c.loaded = false
}

// Abandon forgets all claims and all that is owned over a connection, because it
// leads to another cluster now. Nothing on this one changes.
func (c *Cluster) Abandon(ctx context.Context, connection topology.ConnectionKey) error {
	release, err := c.locks.acquire(ctx, &stake{all: true})
	if err != nil {
		return err
	}
	defer release()
	if err := c.load(ctx); err != nil {
		return err
	}
	c.state.Lock()
	epoch := c.epoch
	var drop []topology.ID
	c.world.EachEntry(func(e topology.Entry) {
		if e.Connection == connection {
			drop = append(drop, e.ID)
		}
	})
	for _, key := range c.world.Claims() {
		if c.world.Claim(key).Connection == connection {
			c.removeClaim(key, false)
		}
	}
	c.state.Unlock()
	return c.write(ctx, epoch, nil, drop)
}

// fingerprint names what is tried for an object: the generations of whoever
// wants it.
func fingerprint(world *plan.World, owners []topology.OwnerKey) string {
	var b strings.Builder
	for _, key := range owners {
		b.WriteString(key.String())
		if claim := world.Claim(key); claim != nil {
			b.WriteByte('@')
			b.WriteString(claim.Owner.UID)
			b.WriteByte('.')
			b.WriteString(strconv.FormatInt(claim.Owner.Generation, 10))
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// Holds tells whether an owner has anything in the inventory.
func (c *Cluster) Holds(key topology.OwnerKey) bool {
	c.state.Lock()
	defer c.state.Unlock()
	return c.world.Holds(key)
}

// Absent lists the owners that hold something and claim nothing.
func (c *Cluster) Absent() []topology.OwnerKey {
	c.state.Lock()
	defer c.state.Unlock()
	return c.world.Absent()
}

// Forsake forgets the claims that came over a connection, which is gone for
// good; what they own stays on the books. Whoever is still there is claimed for
// anew when the connection returns.
func (c *Cluster) Forsake(connection topology.ConnectionKey) {
	c.state.Lock()
	defer c.state.Unlock()
	delete(c.rollouts, connection)
	for _, key := range c.world.Claims() {
		if c.world.Claim(key).Connection == connection {
			c.removeClaim(key, false)
		}
	}
}
