package engine

import "time"

// newsPace is how long something is told before a newer word is: a status is
// not for watching numbers.
const newsPace = 10 * time.Second

// news is what statuses say of something that moves, and since when.
type news[T comparable] struct {
	told  T
	since time.Time
}

// tell has statuses say a newer word, unless the last one is too young or the
// same. It tells whether they say another one now.
func (n *news[T]) tell(word T, now time.Time) bool {
	if n.told == word || !n.since.IsZero() && now.Sub(n.since) < newsPace {
		return false
	}
	n.told, n.since = word, now
	return true
}
