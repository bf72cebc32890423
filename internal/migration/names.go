package migration

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Prefix begins the names of everything that a migration builds. A user that
// may migrate needs its permissions on such names too.
const Prefix = "warrener.migrate."

// Names of the scaffolding of one queue. An exchange and the queue behind it
// share a name.
type Names struct {
	// Detour is the exchange that takes the queue's place in bindings.
	Detour string
	// Park holds what comes while the queue is drained and replaced.
	Park string
	// Tail holds what comes while the rest of the park returns.
	Tail string
	// Backlog holds what the queue held, if no consumer took it.
	Backlog string
	// Return is the exchange through which messages come back to the queue,
	// with the routing key they had.
	Return string
	// Trial is a queue with the wanted arguments, there for a moment, to see
	// whether the broker takes them.
	Trial string
	// Record is an exchange that leads nowhere: it keeps the bindings of a queue
	// that is recreated.
	Record string
	// Shovel moves messages from the queue, the backlog or the park.
	Shovel string
	// Policy keeps policies for all queues away from park, tail and backlog.
	Policy string
}

const (
	roleDetour  = ".detour"
	rolePark    = ".park"
	roleTail    = ".tail"
	roleBacklog = ".backlog"
	roleReturn  = ".return"
	roleTrial   = ".trial"
	roleRecord  = ".record"
	roleShovel  = ".shovel"
	rolePolicy  = ".policy"

	// maxName is what fits beside prefix and role into the 255 bytes of a name.
	maxName = 255 - len(Prefix) - len(roleBacklog)
)

// NamesOf derives the names from that of the queue: `warrener.migrate.orders.park`.
// A name too long is cut, and a hash of it added.
func NamesOf(queue string) Names {
	if len(queue) > maxName {
		sum := sha256.Sum256([]byte(queue))
		hash := "~" + hex.EncodeToString(sum[:8])
		queue = strings.ToValidUTF8(queue[:maxName-len(hash)], "") + hash
	}
	base := Prefix + queue
	return Names{
		Detour: base + roleDetour, Park: base + rolePark, Tail: base + roleTail, Backlog: base + roleBacklog, Return: base + roleReturn,
		Trial: base + roleTrial, Record: base + roleRecord, Shovel: base + roleShovel, Policy: base + rolePolicy,
	}
}

// Scaffolding tells whether an exchange, a queue or a binding is of a migration,
// whichever queue's: it comes and goes by itself, and nobody should own it.
func Scaffolding(id topology.ID) bool {
	switch id.Kind {
	case topology.KindExchange, topology.KindQueue:
		return scaffold(id.Name)
	case topology.KindBinding:
		source, destination, err := topology.BindingEnds(id)
		return err == nil && (scaffold(source.Name) || scaffold(destination.Name))
	}
	return false
}

func scaffold(name string) bool {
	if !strings.HasPrefix(name, Prefix) {
		return false
	}
	for _, role := range []string{roleDetour, rolePark, roleTail, roleBacklog, roleReturn, roleTrial, roleRecord} {
		if strings.HasSuffix(name, role) && len(name) > len(Prefix)+len(role) {
			return true
		}
	}
	return false
}

// Ours tells whether a name is one of these.
func (n Names) Ours(name string) bool {
	return name == n.Detour || name == n.Park || name == n.Tail || name == n.Backlog || name == n.Return || name == n.Trial
}
