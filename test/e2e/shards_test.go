package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

const (
	// mostMoving is the longest that a dead replica's connections are without one.
	mostMoving = 20 * time.Second
	// allSites are connections, each to what passes for a broker cluster of its own.
	allSites  = 30
	allShards = 32
)

// sharers are replicas that share the work on many sites.
type sharers struct {
	*stage
	replicas []*replica
	sites    []*branch
}

// replica reaches all brokers through a recorder of its own.
type replica struct {
	*harness.Controller
	recorder *harness.Recorder
}

// branch is a virtual host under a name of its own, and a user who may not read what
// cluster it is part of: so the name stands for the cluster.
type branch struct {
	name        string
	host        string // of the endpoint, with the port; only the recorders know it
	broker      *harness.RabbitMQ
	virtualHost string
	connection  *v1alpha1.RabbitMQConnection
	queues      map[string]*v1alpha1.Queue // as declared at this moment
	floods      int
}

func newSharers(t *testing.T, size int) *sharers {
	t.Helper()
	c := &sharers{stage: newStage(t)}
	byHost := map[string]*branch{}
	for i := range allSites {
		broker := harness.RabbitMQAt(t, harness.RabbitMQVersions[i%len(harness.RabbitMQVersions)])
		name := fmt.Sprintf("site-%02d", i)
		s := &branch{name: name, host: name + ".invalid:15672", broker: broker, virtualHost: broker.NewVirtualHost(t), queues: map[string]*v1alpha1.Queue{}}
		byHost[s.host] = s
		c.sites = append(c.sites, s)
	}
	for range size {
		r := &replica{
			Controller: harness.NewController(t, c.kubeconfig, c.namespace, fmt.Sprint("--shards=", allShards)),
			recorder:   harness.NewRouter(t, func(host string) string { return byHost[host].broker.ManagementURL }),
		}
		r.Env = []string{"HTTP_PROXY=" + r.recorder.URL}
		c.replicas = append(c.replicas, r)
	}
	for i, version := range harness.RabbitMQVersions {
		c.connect(harness.RabbitMQAt(t, version), fmt.Sprint("broker-", i))
	}
	return c
}

// connect makes the connections to the sites of a broker.
func (c *sharers) connect(broker *harness.RabbitMQ, secret string) {
	c.t.Helper()
	var hosts []string
	for _, s := range c.sites {
		if s.broker.Version == broker.Version {
			hosts = append(hosts, s.virtualHost)
		}
	}
	user, password := broker.NewUser(c.t, "management", hosts...)
	c.create(c.credentials(secret, user, password))
	for _, s := range c.sites {
		if s.broker.Version != broker.Version {
			continue
		}
		_, s.connection = c.rabbit(s.name, broker, s.virtualHost, "http://"+s.host)
		s.connection.Spec.Authentication.SecretRef.Name = secret
		s.connection.Spec.Interval = &metav1.Duration{Duration: 10 * time.Second}
		c.create(s.connection)
	}
}

// declare adds queues to every site.
func (c *sharers) declare(prefix string, each int) {
	c.t.Helper()
	for i := range each {
		for _, s := range c.sites {
			q := queue(fmt.Sprintf("%s-%s-%d", s.name, prefix, i), s.name, v1alpha1.QueueTypeClassic)
			s.queues[q.Name] = q
			c.create(q)
		}
	}
}

// flooded queues are more than a replica sends at once. What is dropped again the breaker counts
// for ten minutes: with the two queues of each of eight rounds, a site can be flooded three times.
const flooded = 10

// flood declares many queues on one of the sites that a replica works on: on another
// one each time, as long as there is one.
func (c *sharers) flood(on *replica, prefix string) {
	c.t.Helper()
	served := on.served(time.Now().Add(-time.Minute))
	var s *branch
	for _, site := range c.sites {
		if served[site.host] > 0 && (s == nil || site.floods < s.floods) {
			s = site
		}
	}
	if s == nil {
		c.t.Fatal("the replica works on nothing")
	}
	s.floods++
	for i := range flooded {
		q := queue(fmt.Sprintf("%s-%s-many-%02d", s.name, prefix, i), s.name, v1alpha1.QueueTypeClassic)
		s.queues[q.Name] = q
		c.create(q)
	}
}

// drop deletes them again.
func (c *sharers) drop(prefix string) {
	c.t.Helper()
	for _, s := range c.sites {
		for name, q := range s.queues {
			if strings.HasPrefix(name, s.name+"-"+prefix+"-") {
				c.remove(q)
				delete(s.queues, name)
			}
		}
	}
}

// settled waits until all statuses and brokers say what is declared.
func (c *sharers) settled() {
	c.t.Helper()
	for _, s := range c.sites {
		objects := []client.Object{s.connection}
		for _, q := range s.queues {
			objects = append(objects, q)
		}
		c.ready(objects...)
	}
	for _, s := range c.sites {
		asDeclared := s.asDeclared(c.t)
		within(c.t, fmt.Sprintf("the queues of %s, flooded %d times", s.name, s.floods), func(ctx context.Context) (bool, string) {
			same, differs := asDeclared(ctx)
			if err := c.client.Get(ctx, client.ObjectKeyFromObject(s.connection), s.connection); err != nil {
				c.t.Fatal(err)
			}
			if held := s.connection.Status.HeldDeletions; held != nil {
				differs = fmt.Sprintf("%d deletions are held; %s", held.Count, differs)
			}
			return same, differs
		})
	}
}

// asDeclared compares the queues of a site with what is declared.
func (s *branch) asDeclared(t *testing.T) func(context.Context) (bool, string) {
	return func(context.Context) (bool, string) {
		var listed []brokerQueue
		find(t, s.broker, "/api/queues/"+url.PathEscape(s.virtualHost)+"?disable_stats=true&enable_queue_totals=true", &listed)
		var differ []string
		for _, q := range listed {
			if s.queues[q.Name] == nil {
				differ = append(differ, "there is "+q.Name)
			}
		}
		for name := range s.queues {
			if !slices.ContainsFunc(listed, func(q brokerQueue) bool { return q.Name == name }) {
				differ = append(differ, "there is no "+name)
			}
		}
		return len(differ) == 0, strings.Join(differ, ", ")
	}
}

// shares counts the shards of each holder, living or not.
func (c *sharers) shares() map[string]int {
	c.t.Helper()
	var leases coordinationv1.LeaseList
	if err := c.client.List(c.t.Context(), &leases, client.InNamespace(c.namespace)); err != nil {
		c.t.Fatal(err)
	}
	out := map[string]int{}
	for _, lease := range leases.Items {
		if strings.HasPrefix(lease.Name, "warrener-shard-") && lease.Spec.HolderIdentity != nil {
			out[*lease.Spec.HolderIdentity]++
		}
	}
	return out
}

// shared waits until so many replicas have equal shares.
func (c *sharers) shared(among int) {
	c.t.Helper()
	within(c.t, fmt.Sprintf("%d replicas to share the work", among), func(context.Context) (bool, string) {
		shares := c.shares()
		for _, n := range shares {
			if n < allShards/among || n > allShards/among+1 {
				return false, fmt.Sprint(shares)
			}
		}
		return len(shares) == among, fmt.Sprint(shares)
	})
}

// served are the sites that a replica has written to since a moment.
func (r *replica) served(since time.Time) map[string]int {
	out := map[string]int{}
	for _, request := range r.recorder.Writes(since) {
		out[request.Host]++
	}
	return out
}

// hold keeps back all writes of a replica but the first, until they are released.
// Once it waits for answers and sends no more, held is closed: nothing is on its way
// then that has not reached the recorder.
func (r *replica) hold(t *testing.T) (held <-chan struct{}, release func()) {
	t.Helper()
	const first, calm = 2, 300 * time.Millisecond
	var made atomic.Int64
	holds, done := make(chan struct{}), make(chan struct{})
	quiet := time.AfterFunc(time.Hour, sync.OnceFunc(func() { close(holds) }))
	t.Cleanup(func() { quiet.Stop() })
	r.recorder.Disturb(func(target http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.Method != http.MethodGet && made.Add(1) > first {
				quiet.Reset(calm)
				<-done
			}
			target.ServeHTTP(w, request)
		})
	})
	release = sync.OnceFunc(func() { close(done) })
	t.Cleanup(release)
	return holds, release
}

// Three replicas share thirty broker clusters. One is killed and one stands still in
// the middle of writes; the third one does all of it within 20 s. What the one that
// stood still had sent reaches the broker; when it wakes up, it sends nothing more.
func TestShards(t *testing.T) {
	t.Parallel()
	c := newSharers(t, 3)
	for _, r := range c.replicas {
		r.Start(t)
	}
	c.shared(3)
	began := time.Now()
	c.declare("first", 1)
	c.settled()
	c.judgeShares(began)
	rounds, pause := 1, time.Duration(0)
	if harness.Long() {
		rounds, pause = 8, time.Minute
	}
	for round := range rounds {
		order := rand.Perm(len(c.replicas))
		c.outage(fmt.Sprint("round", round), c.replicas[order[0]], c.replicas[order[1]], pause)
	}
	began = time.Now()
	c.declare("last", 1)
	c.settled()
	c.judgeShares(began)
}

// judgeShares holds every replica to having done its part, and none another's.
func (c *sharers) judgeShares(since time.Time) {
	c.t.Helper()
	by := map[string]int{}
	for i, r := range c.replicas {
		served := r.served(since)
		c.t.Logf("replica %d works on %d of %d clusters", i, len(served), len(c.sites))
		if len(served) == 0 {
			c.t.Errorf("replica %d does nothing", i)
		}
		for host := range served {
			by[host]++
		}
	}
	for _, s := range c.sites {
		if by[s.host] != 1 {
			c.t.Errorf("%d replicas wrote to %s", by[s.host], s.name)
		}
	}
}

// outage kills a replica and has another one stand still, for so long at least, and
// then brings both back.
func (c *sharers) outage(prefix string, killed, paused *replica, pause time.Duration) {
	c.t.Helper()
	busy, letGo := killed.hold(c.t)
	held, release := paused.hold(c.t)
	c.declare(prefix, 1)
	c.flood(killed, prefix)
	c.flood(paused, prefix)
	<-busy
	<-held
	var both sync.WaitGroup
	both.Go(killed.Kill)
	both.Go(paused.Pause)
	both.Wait()
	at := time.Now()
	letGo()
	release()
	c.declare(prefix+"-after", 1)
	c.settled()
	took := c.moved(at, killed, paused)
	c.t.Logf("%s: the last connection was asked for %s after the others' end, and all was done after %s",
		prefix, took.Round(100*time.Millisecond), time.Since(at).Round(100*time.Millisecond))
	if harness.Long() && took > mostMoving { // which runs alone: on a busy machine it says little
		c.t.Errorf("the last connection was asked for %s after the others' end, want %s at the most", took, mostMoving)
	}
	c.drop(prefix) // whatever the paused one was about to make must not be there any more
	c.settled()
	if left := pause - time.Since(at); left > 0 {
		time.Sleep(left)
	}
	woken := time.Now()
	paused.Resume()
	if !paused.Ended() {
		c.t.Error("a replica that was replaced did not end")
	}
	time.Sleep(time.Second) // whatever it sent at its end has been answered, and noted
	if late := paused.recorder.Writes(woken); len(late) > 0 {
		c.t.Errorf("after it was replaced, a replica sent %d writes, and none was under way: %v", len(late), late)
	}
	for _, s := range c.sites {
		if same, differs := s.asDeclared(c.t)(c.t.Context()); !same {
			c.t.Errorf("after a replica that was replaced woke up: on %s %s", s.name, differs)
		}
	}
	killed.Start(c.t)
	paused.Start(c.t)
	c.shared(len(c.replicas))
}

// moved tells how long it took until another replica had asked for the last of the
// connections that some had worked on.
func (c *sharers) moved(since time.Time, from ...*replica) time.Duration {
	c.t.Helper()
	first := map[string]time.Time{}
	for _, r := range c.replicas {
		if slices.Contains(from, r) {
			continue
		}
		for _, request := range r.recorder.Requests(since) {
			if at, seen := first[request.Host]; !seen || request.Time.Before(at) {
				first[request.Host] = request.Time
			}
		}
	}
	if len(first) < len(c.sites) {
		c.t.Errorf("of %d connections %d have moved", len(c.sites), len(first))
	}
	var last time.Duration
	for _, at := range first {
		last = max(last, at.Sub(since))
	}
	return last
}
