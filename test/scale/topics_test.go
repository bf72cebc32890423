package scale

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkTopics creates topics, changes a config of each and deletes them,
// against raw bulk requests for the same and the same writes to the API server.
func BenchmarkTopics(b *testing.B) {
	for b.Loop() {
		rows := newScene(b).topics(scaled(b, 2000))
		for _, r := range rows {
			r.report(b)
		}
	}
}

// topicRun is the same topics once more, in a namespace of their own.
type topicRun struct {
	s         *scene
	namespace string
	prefix    string
	admin     *kadm.Client
	objects   []v1alpha1.Object
}

func (s *scene) newTopicRun(kafka *harness.Kafka, namespace string, n int) *topicRun {
	s.tb.Helper()
	run := &topicRun{s: s, namespace: namespace, prefix: kafka.NewTopicPrefix(s.tb), admin: kafka.Admin(s.tb)}
	for i := range n {
		run.objects = append(run.objects, &v1alpha1.Topic{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("topic-%d", i)},
			Spec: v1alpha1.TopicSpec{
				ConnectionRef: v1alpha1.ConnectionReference{Name: "kafka"}, Name: fmt.Sprintf("%s%d", run.prefix, i),
				Partitions: new(int32(1)), ReplicationFactor: new(int16(1)), Config: map[string]string{"retention.ms": "3600000"},
			},
		})
	}
	return run
}

func (s *scene) topics(n int) []*row {
	s.tb.Helper()
	kafka := harness.SharedKafka(s.tb)
	limits := [2][3]time.Duration{}
	limits[0] = s.newTopicRun(kafka, s.plane.NewNamespace(s.tb), n).raw()
	s.start()
	s.create(&v1alpha1.KafkaConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "kafka"},
		Spec:       v1alpha1.KafkaConnectionSpec{BootstrapServers: kafka.Bootstrap, Interval: &metav1.Duration{Duration: seldom}},
	})
	run := s.newTopicRun(kafka, s.namespace, n)
	end := s.profiles.during(s.tb, "topics")
	took := [3]time.Duration{run.created(), run.changed(), run.deleted()}
	end()
	limits[1] = s.newTopicRun(kafka, s.plane.NewNamespace(s.tb), n).raw()

	var rows []*row
	var all time.Duration
	for i, what := range []string{"create", "change", "delete"} {
		r := &row{ID: "topics-" + what, Workload: fmt.Sprintf("%d topics: %s", n, topicWork[what]), Objects: n, Figure: took[i].Seconds(), Unit: "s", AimRatio: 1.5}
		r.limitedBy(mean([]time.Duration{limits[0][i], limits[1][i]}).Seconds(), "raw bulk requests for the same, and the same writes to the API server")
		r.more("topics per second", float64(n)/took[i].Seconds(), "")
		rows, all = append(rows, r), all+took[i]
	}
	// The best figure that an operator's authors published is about 30 a second.
	last := rows[len(rows)-1]
	last.more("all three: events per second", float64(3*n)/all.Seconds(), "")
	last.more("peak RSS", mebibytes(s.controller.PeakRSS(s.tb)), "MiB")
	return rows
}

var topicWork = map[string]string{
	"create": "first create to all Ready",
	"change": "one config of each: first change to all Ready",
	"delete": "first delete to all gone from the broker",
}

// created is the time from the first create to all Ready.
func (t *topicRun) created() time.Duration {
	seen := watchReady(t.s.tb, t.s.client, t.namespace, len(t.objects))
	defer seen.stop()
	start := time.Now()
	createAll(t.s.tb, t.s.client, t.objects)
	seen.wait(t.s.tb, patience)
	took := time.Since(start)
	if n := seen.written(); n != len(t.objects) {
		t.s.tb.Errorf("%d status writes for %d topics", n, len(t.objects))
	}
	return took
}

const otherRetention = "7200000"

// changed is the time from the first change to all Ready.
func (t *topicRun) changed() time.Duration {
	tb := t.s.tb
	tb.Helper()
	seen := &readiness{generation: 2, want: len(t.objects)}
	seen.watch(tb, t.s.client, t.namespace)
	defer seen.stop()
	start := time.Now()
	t.patchAll()
	seen.wait(tb, patience)
	took := time.Since(start)
	configs, err := t.admin.DescribeTopicConfigs(tb.Context(), t.objects[0].BrokerName(), t.objects[len(t.objects)-1].BrokerName())
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range configs {
		for _, config := range c.Configs {
			if config.Key == "retention.ms" && config.MaybeValue() != otherRetention {
				tb.Errorf("topic %s is Ready, and its retention.ms is %s", c.Name, config.MaybeValue())
			}
		}
	}
	return took
}

func (t *topicRun) patchAll() {
	t.s.tb.Helper()
	inParallel(t.s.tb, t.objects, func(o v1alpha1.Object) error {
		return t.s.client.Patch(t.s.tb.Context(), o, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"config":{"retention.ms":"`+otherRetention+`"}}}`)))
	})
}

// deleted is the time from the first delete until all topics are gone, from the broker and from
// the books. So many at once are held until somebody says that it is meant: whoever watches the
// connection does so as soon as it asks, while others may still be deleted.
func (t *topicRun) deleted() time.Duration {
	s := t.s
	s.tb.Helper()
	ctx, stop := context.WithCancel(s.tb.Context())
	defer stop()
	changes := make(chan v1alpha1.ConnectionStatus, 1000)
	allowed := ""
	follow(ctx, s.tb, s.client, &v1alpha1.KafkaConnectionList{}, t.namespace, "kafka", func(_ watch.EventType, o client.Object) {
		status := o.(*v1alpha1.KafkaConnection).Status
		if held := status.HeldDeletions; held != nil && held.Window != allowed {
			allowed = held.Window
			patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationAllowDeletes, allowed)
			if err := s.client.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil && ctx.Err() == nil {
				s.tb.Error(err)
			}
		}
		changes <- status
	})
	start := time.Now()
	inParallel(s.tb, t.objects, func(o v1alpha1.Object) error { return s.client.Delete(s.tb.Context(), o) })
	deadline := time.After(patience)
	for {
		select {
		case status := <-changes:
			if status.Owned == 0 && status.PendingDeletions == 0 && status.HeldDeletions == nil {
				s.until("all topics to be gone", func() bool { return t.left() == 0 })
				return time.Since(start)
			}
		case <-deadline:
			s.tb.Fatalf("%d topics are left after %s", t.left(), patience)
		}
	}
}

// left is how many of the topics are on the broker.
func (t *topicRun) left() (n int) {
	t.s.tb.Helper()
	topics, err := t.admin.ListTopics(t.s.tb.Context())
	if err != nil {
		t.s.tb.Fatal(err)
	}
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, t.prefix) {
			n++
		}
	}
	return n
}

// raw does the same with one request to Kafka for all, and without a controller.
func (t *topicRun) raw() (took [3]time.Duration) {
	tb, names := t.s.tb, make([]string, len(t.objects))
	tb.Helper()
	for i, o := range t.objects {
		names[i] = o.BrokerName()
	}
	retention := "3600000"
	for i, phase := range []func(ctx context.Context) error{
		func(ctx context.Context) error {
			createAll(tb, t.s.client, t.objects)
			answers, err := t.admin.CreateTopics(ctx, 1, 1, map[string]*string{"retention.ms": &retention}, names...)
			if err == nil {
				err = answers.Error()
			}
			t.patchStatuses()
			return err
		},
		func(ctx context.Context) error {
			t.patchAll()
			other := otherRetention
			answers, err := t.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &other}}, names...)
			for _, answer := range answers {
				if err == nil {
					err = answer.Err
				}
			}
			t.patchStatuses()
			return err
		},
		func(ctx context.Context) error {
			inParallel(tb, t.objects, func(o v1alpha1.Object) error { return t.s.client.Delete(ctx, o) })
			answers, err := t.admin.DeleteTopics(ctx, names...)
			if err == nil {
				err = answers.Error()
			}
			t.s.until("all topics to be gone", func() bool { return t.left() == 0 }) // the controller's are, too
			return err
		},
	} {
		start := time.Now()
		if err := phase(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	return took
}

func (t *topicRun) patchStatuses() {
	t.s.tb.Helper()
	inParallel(t.s.tb, t.objects, func(o v1alpha1.Object) error { return patchStatus(t.s.tb.Context(), t.s.client, o) })
}
