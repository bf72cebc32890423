package controllers

import (
	"hash/maphash"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// standingVerdicts remembers of which verdicts it is known that statuses say them, so that a
// drift check of ten thousand objects does not compare each with its status again.
// Whatever is news of an object, this controller's own patch included, ends that; the
// next verdict is compared then. Its user holds a lock.
type standingVerdicts struct {
	seed  maphash.Seed
	marks map[topology.OwnerKey]uint64
	// news counts what was heard about objects: who has compared a verdict with a status
	// must have heard nothing meanwhile.
	news uint64
}

func newStanding() *standingVerdicts {
	return &standingVerdicts{seed: maphash.MakeSeed(), marks: map[topology.OwnerKey]uint64{}}
}

// has tells whether an object's status says a verdict.
func (s *standingVerdicts) has(v engine.Verdict) bool {
	mark, known := s.marks[v.Owner.OwnerKey]
	if !known {
		return false
	}
	now, plain := s.mark(v)
	return plain && mark == now
}

// put notes that an object's status says a verdict, if nothing was heard since.
func (s *standingVerdicts) put(v engine.Verdict, since uint64) {
	if mark, plain := s.mark(v); plain && s.news == since {
		s.marks[v.Owner.OwnerKey] = mark
	}
}

func (s *standingVerdicts) drop(key topology.OwnerKey) { delete(s.marks, key) }

// heard drops what is known of an object.
func (s *standingVerdicts) heard(key topology.OwnerKey) {
	s.news++
	s.drop(key)
}

// mark is one number for a verdict that all is well. Others are few, and compared
// each time.
func (s *standingVerdicts) mark(v engine.Verdict) (mark uint64, plain bool) {
	if !v.Ready || v.Stalled || v.Suspended || v.KeepOwns || v.Proposal != nil ||
		len(v.Drift) > 0 || len(v.Draining) > 0 || len(v.Operations) > 0 || len(v.Warnings) > 0 {
		return 0, false
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	maphash.WriteComparable(&h, v.Owner)
	maphash.WriteComparable(&h, v.DeadLetters)
	maphash.WriteComparable(&h, v.Reason)
	maphash.WriteComparable(&h, v.Message)
	for _, id := range v.Owns {
		maphash.WriteComparable(&h, id)
	}
	return h.Sum64(), true
}
