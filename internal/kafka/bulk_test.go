package kafka

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestChunks(t *testing.T) {
	of := func(records, bytes int) job { return job{records: records, bytes: bytes} }
	for name, c := range map[string]struct {
		jobs []job
		want []int
	}{
		"None":      {nil, nil},
		"One":       {[]job{of(1, 1)}, []int{1}},
		"Records":   {[]job{of(4000, 1), of(4000, 1), of(1000, 1), of(1, 1)}, []int{3, 1}},
		"Bytes":     {[]job{of(1, mostBytes/2), of(1, mostBytes/2), of(1, 1)}, []int{2, 1}},
		"Oversized": {[]job{of(1, 1), of(20_000, 1), of(1, 1)}, []int{1, 1, 1}},
	} {
		var got []int
		for _, chunk := range chunks(c.jobs) {
			got = append(got, len(chunk))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// Two thousand topics, as a first apply brings them: few requests, and every
// one a topic that exists afterwards.
func TestBulk(t *testing.T) {
	k := harness.PrivateKafka(t, harness.KafkaOptions{})
	var seen requests
	b := connect(t, Options{BootstrapServers: k.Bootstrap, OnRequest: seen.observe, Timeout: 30 * time.Second})
	names := numbered(2000, "bulk-")
	wave := createSteps(names...)
	ids := make([]topology.ID, len(wave))
	for i := range wave {
		ids[i] = wave[i].ID
		wave[i].Want = &topology.Topic{Name: names[i], Partitions: 1, Config: map[string]string{"retention.ms": "604800000"}}
	}
	measure := func(what string, run func()) map[string]int {
		seen.take()
		started := time.Now()
		run()
		took, counts := time.Since(started), seen.take()
		t.Logf("%s: %s, requests %v", what, took.Round(time.Millisecond), counts)
		return counts
	}
	if n := measure("create 2,000 topics", func() { applyAll(t, b, wave) })["CreateTopics"]; n > 2 {
		t.Errorf("%d CreateTopics requests for 6,000 records, want 1", n)
	}
	harness.Eventually(t, "2,000 topics are visible", func() bool {
		return len(observe(t, b, topology.Selection{IDs: ids}).Objects) == len(ids)
	})
	var snapshot *topology.Snapshot
	counts := measure("observe all", func() { snapshot = observe(t, b, topology.Selection{All: true}) })
	if total := counts["Metadata"] + counts["DescribeConfigs"]; total > 4 || counts["ListOffsets"] > 0 {
		t.Errorf("observing 2,000 topics took %v", counts)
	}
	measure("observe all, with usage", func() { observe(t, b, topology.Selection{All: true, Usage: ids}) })
	measure("observe ten", func() { observe(t, b, topology.Selection{IDs: ids[:10]}) })

	updates := make([]topology.Step, len(wave))
	for i, step := range wave {
		live, _ := snapshot.Look(step.ID)
		want := &topology.Topic{Name: names[i], Config: map[string]string{"retention.ms": "1000000"}}
		if i%10 == 0 {
			want.Partitions = 2 // few: the broker takes seconds to open thousands of logs
		}
		updates[i] = topology.Step{Verb: topology.VerbUpdate, ID: step.ID, Want: want, Live: live, Changes: want.Diff(live)}
	}
	measure("change config of 2,000, partitions of 200", func() { applyAll(t, b, updates) })
	measure("until the new partitions have leaders", func() {
		harness.Eventually(t, "all new partitions have leaders", func() bool {
			for _, use := range observe(t, b, topology.Selection{Usage: ids}).Usage {
				if use.Unknown {
					return false
				}
			}
			return true
		})
	})
	measure("observe all, warm", func() { observe(t, b, topology.Selection{All: true}) })
	measure("observe all, with usage, warm", func() { observe(t, b, topology.Selection{All: true, Usage: ids}) })

	deletes := make([]topology.Step, len(wave))
	for i, step := range wave {
		live, _ := snapshot.Look(step.ID)
		deletes[i] = topology.Step{Verb: topology.VerbDelete, ID: step.ID, Live: live, IfUnused: i%2 == 0}
	}
	measure("delete 2,000, half of them guarded", func() {
		// A broker that opens logs can lose the lead of a partition for a moment; a pass
		// would try again, too.
		harness.Eventually(t, "all are deleted", func() bool {
			var again []topology.Step
			for i, outcome := range b.Apply(t.Context(), deletes) {
				switch class := topology.ClassOf(outcome.Err); {
				case outcome.Err == nil:
				case class == topology.ClassTransient, class == topology.ClassPending:
					t.Log(outcome.Err)
					again = append(again, deletes[i])
				default:
					t.Fatal(outcome.Err)
				}
			}
			deletes = again
			return len(deletes) == 0
		})
	})
	harness.Eventually(t, "all are gone", func() bool {
		return len(observe(t, b, topology.Selection{IDs: ids}).Objects) == 0
	})
}

// What the controller has on record is not told to be pending because a broker is a
// moment behind.
func TestApplyWaitsUntilItShows(t *testing.T) {
	b, prefix := sharedBroker(t)
	wave := createSteps(numbered(100, prefix)...)
	ids := make([]topology.ID, len(wave))
	for i, step := range wave {
		ids[i] = step.ID
	}
	applyAll(t, b, wave)
	if n := len(observe(t, b, topology.Selection{IDs: ids}).Objects); n != len(ids) {
		t.Errorf("%d of %d topics are read back", n, len(ids))
	}
	for i := range wave {
		wave[i].Verb = topology.VerbDelete
	}
	applyAll(t, b, wave)
	if n := len(observe(t, b, topology.Selection{IDs: ids}).Objects); n != 0 {
		t.Errorf("%d deleted topics are read back", n)
	}
}

// KRaft caps an operation at 10,000 records. Below the cap by chunking; above
// it, as when the brokers' default partition count is high, by halving.
func TestMoreRecordsThanKafkaTakes(t *testing.T) {
	k := harness.SharedKafka(t) // nothing is written: all is validate_only
	var seen requests
	b := connect(t, Options{BootstrapServers: k.Bootstrap, OnRequest: seen.observe, Timeout: 60 * time.Second})

	wave := createSteps(numbered(30, "chunked-")...)
	for i := range wave {
		wave[i].Want = &topology.Topic{Name: wave[i].ID.Name, Partitions: 400}
	}
	validated := func(what string, wave []topology.Step) int {
		seen.take()
		for _, outcome := range b.Validate(t.Context(), wave) {
			if outcome.Err != nil {
				t.Errorf("%s: %v", what, outcome.Err)
			}
		}
		return seen.take()["CreateTopics"]
	}
	if n := validated("12,030 records", wave); n != 2 {
		t.Errorf("12,030 records went in %d requests, want 2", n)
	}

	jobs := make([]job, len(wave))
	w := &applying{Broker: b, steps: wave, errs: make([]error, len(wave)), validate: true}
	for i := range jobs {
		jobs[i] = w.job(i, 1, 1) // a lie: all go in one request
	}
	answers, err := w.sendCreate(t.Context(), jobs)
	if err != nil || !refusedWhole(answers) {
		t.Fatalf("30 topics of 400 partitions in one request are not refused as a whole: %v %d %s", err, answers[0].code, *answers[0].message)
	}
	t.Logf("refused: %s", *answers[0].message)
	w.bulk(t.Context(), opCreate, jobs, w.sendCreate, w.record)
	for i, err := range w.errs {
		if err != nil {
			t.Errorf("halved: %s: %v", wave[i].ID, err)
		}
	}
	one := createSteps("too-wide")
	one[0].Want = &topology.Topic{Name: "too-wide", Partitions: 12_000}
	(&failure{Class: topology.ClassRejected, Operation: opCreate}).check(t, "a topic that is too wide alone", b.Validate(t.Context(), one)[0].Err)
	t.Logf("one topic of 12,000 partitions: %v", b.Validate(t.Context(), one)[0].Err)
}
