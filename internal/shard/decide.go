package shard

import (
	"cmp"
	"slices"
	"time"
)

// Member is a replica that is alive.
type Member struct {
	Name string
	// Shards is the number of shards that it was started with; 0 if it does not say.
	Shards int
	Joined time.Time
}

// View is what the leases say, all read at the same moment.
type View struct {
	Members []Member
	// Holders by shard, living or not; a shard that nobody holds may be missing.
	Holders map[int]string
}

// Moves are what a replica is to do.
type Moves struct {
	// Take are shards that nobody alive holds.
	Take []int
	// Yield are shards to be given up, once the work on them is done.
	Yield []int
}

// Decide tells what a member takes and gives up. Replicas that were started with
// different numbers of shards would take the same broker cluster for two shards:
// the number of the member that has been there for longest is in force, the
// others hold nothing, and nobody takes anything while one of them does.
func Decide(v View, me string) Moves {
	own, inForce := v.find(me), v.inForce()
	var moves Moves
	if own == nil || own.Shards != inForce {
		for n, holder := range v.Holders {
			if holder == me {
				moves.Yield = append(moves.Yield, n)
			}
		}
		slices.Sort(moves.Yield)
		return moves
	}
	var mates []string
	for _, m := range v.Members {
		if m.Shards == inForce {
			mates = append(mates, m.Name)
		}
	}
	slices.Sort(mates)
	holders := make([]string, inForce)
	for n, holder := range v.Holders {
		if n < inForce {
			holders[n] = holder
		}
	}
	quiet := !v.strangersHold(inForce)
	for n, target := range Assign(holders, mates) {
		switch {
		case target == me && quiet && !slices.Contains(mates, holders[n]):
			moves.Take = append(moves.Take, n)
		case target != me && holders[n] == me:
			moves.Yield = append(moves.Yield, n)
		}
	}
	return moves
}

func (v View) find(name string) *Member {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return &v.Members[i]
		}
	}
	return nil
}

// inForce is the number of shards that counts; 0 if none does.
func (v View) inForce() int {
	oldest := slices.SortedFunc(slices.Values(v.Members), func(a, b Member) int {
		return cmp.Or(a.Joined.Compare(b.Joined), cmp.Compare(a.Name, b.Name))
	})
	for _, m := range oldest {
		if m.Shards >= 1 && m.Shards <= Most {
			return m.Shards
		}
	}
	return 0
}

// strangersHold tells whether a living member with another number of shards holds
// any.
func (v View) strangersHold(inForce int) bool {
	for _, holder := range v.Holders {
		if m := v.find(holder); m != nil && m.Shards != inForce {
			return true
		}
	}
	return false
}
