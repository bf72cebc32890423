//go:build long

package e2e

import (
	"testing"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// They arrive too, within 200 s, when the broker looks again. What
// was rejected and has retries is tried again meanwhile.
func TestDeadQueueComesBackForAll(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		queues := []*v1alpha1.Queue{surelyBuried("plain"), tiered("tiers", v1alpha1.QueueTypeQuorum, 500*msec)}
		for _, q := range queues {
			s.create(q)
		}
		for _, q := range queues {
			s.ready(q)
		}
		s.suspend(true, queues...)
		var all []*burials
		for _, q := range queues {
			s.deleteQueue(q.Name + ".dead")
			b := &burials{s: s, queue: q.Name, retries: q.Spec.Retry != nil, died: newDiary(), dead: newDiary()}
			b.die(t)
			all = append(all, b)
		}
		time.Sleep(5 * time.Second) // tries again meanwhile
		s.suspend(false, queues...)
		back := time.Now()
		for _, b := range all {
			b.stopDead = consume(t, s.broker, s.virtualHost, b.queue+".dead", b.dead, ack)
		}
		for _, b := range all {
			withinTime(t, 400*time.Second, b.queue+": all to be dead", b.dead.has(expiring+rejected)) // tried again after 174 s, and again
			b.judge(t, back)
		}
		for _, b := range all {
			b.stop()
			b.stopDead()
			s.empty(t, b.queue)
		}
	})
}
