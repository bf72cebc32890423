package rabbitmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// bindingsTo are bindings of an exchange to the queue work, each with a key of its
// own.
func bindingsTo(vh, source string, n int) (steps []topology.Step) {
	for i := range n {
		steps = append(steps, create(&topology.Binding{
			VirtualHost: vh, Source: source, Destination: "work", DestinationType: topology.DestinationQueue, RoutingKey: fmt.Sprintf("key.%d", i),
		}))
	}
	return steps
}

func wants(steps []topology.Step) (out []topology.Resource) {
	for _, step := range steps {
		out = append(out, step.Want)
	}
	return out
}

// A broker that leaves bindings of topic exchanges half made is given them in a few
// imports, if the user may; the bindings of others, and other brokers, each by a call.
func TestManyBindings(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		apply(t, b, create(&topology.Exchange{VirtualHost: vh, Name: "events", Type: "topic", Durable: true}),
			create(&topology.Exchange{VirtualHost: vh, Name: "plain", Type: "direct", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "work", Type: "classic", Durable: true}))
		user, password := server.NewUser(t, "policymaker", vh)
		recorder := harness.NewRecorder(t, server.ManagementURL)
		for name, tc := range map[string]struct {
			user, password string
			edits          bool
			imports        int
		}{
			"administrator":           {user: server.User, password: server.Password, imports: 1},
			"administrator who edits": {user: server.User, password: server.Password, edits: true, imports: (mostImported+20)/mostBesideEdits + 1},
			"policymaker":             {user: user, password: password},
		} {
			through := open(t, Options{Endpoint: recorder.URL, Username: tc.user, Password: tc.password})
			observe(t, through, topology.Selection{All: true})
			steps := slices.Concat(bindingsTo(vh, "events", mostImported+20), bindingsTo(vh, "plain", 10))
			rollOut := topology.InBulk(t.Context(), nil, nil)
			succeeded(t, through.Apply(rollOut, []topology.Step{create(&topology.Exchange{VirtualHost: vh, Name: "new", Type: "direct", Durable: true})}))
			if tc.edits {
				apply(t, through, create(&topology.Exchange{VirtualHost: vh, Name: "edited", Type: "direct", Durable: true}))
			}
			since := time.Now()
			imports, calls, shown := 0, 0, 0
			for _, outcome := range succeeded(t, through.Apply(t.Context(), steps)) {
				if outcome.Shown != nil {
					shown++
				}
			}
			for _, r := range recorder.Requests(since) {
				switch {
				case r.Method == http.MethodPost && r.Path == "/api/definitions/"+vh:
					imports++
				case r.Method == http.MethodPost:
					calls++
				}
			}
			wantImports, wantCalls := 0, len(steps)
			if server.Version == "4.0" && tc.imports > 0 {
				wantImports, wantCalls = tc.imports, 10
			}
			if imports != wantImports || calls != wantCalls || shown != len(steps)-wantCalls {
				t.Errorf("%s: %d imports and %d calls, want %d and %d; %d of the imported were looked at", name, imports, calls, wantImports, wantCalls, shown)
			}
			if reads := len(recorder.Requests(since)) - imports - calls; reads > maxTargeted {
				t.Errorf("%s: %d reads", name, reads)
			}
			converged(t, b, wants(steps)...)
			for i := range steps {
				steps[i] = topology.Step{Verb: topology.VerbDelete, ID: steps[i].ID}
			}
			apply(t, b, steps...)
		}
	})
}

// One binding costs a call more than ever: a look whether it is there.
func TestOneBinding(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, _ *Broker, vh string) {
		var seen counter
		b := open(t, Options{Endpoint: server.ManagementURL, Username: server.User, Password: server.Password, OnRequest: seen.hook})
		apply(t, b, create(&topology.Exchange{VirtualHost: vh, Name: "events", Type: "topic", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "work", Type: "classic", Durable: true}))
		steps := bindingsTo(vh, "events", 2)
		apply(t, b, steps[0]) // who asks, and what broker it is, is known from now on
		seen.requests.Store(0)
		apply(t, b, steps[1])
		most := int64(1)
		if server.Version == "4.0" {
			most = 2
		}
		if n := seen.requests.Load(); n > most {
			t.Errorf("%d requests, want at most %d", n, most)
		}
		converged(t, b, wants(steps)...)
	})
}

// One that is refused fails alone, and as it always did.
func TestOneOfManyBindingsIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		apply(t, b, create(&topology.Exchange{VirtualHost: vh, Name: "events", Type: "topic", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "work", Type: "classic", Durable: true}))
		steps := bindingsTo(vh, "events", 30)
		lost := *steps[7].Want.(*topology.Binding)
		lost.Destination = "nothing"
		steps[7] = create(&lost)
		for i, outcome := range b.Apply(t.Context(), steps) {
			if i == 7 {
				wantError(t, outcome.Err, topology.ClassTransient, testPassword, lost.ID().String())
			} else if outcome.Err != nil {
				t.Errorf("%s: %v", outcome.Step.ID, outcome.Err)
			}
		}
		converged(t, b, wants(slices.Delete(steps, 7, 8))...)
	})
}

// importer is a broker that knows bindings and nothing else.
type importer struct {
	mu       sync.Mutex
	bindings []wireBinding
	tags     string
	requests []string
	// onImport answers an import instead; it may call on.
	onImport func(w http.ResponseWriter, r *http.Request, n int, on func())
	imports  int
}

func (f *importer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+strings.Split(r.URL.Path, "/")[2])
	f.mu.Unlock()
	reply := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	var body struct {
		Bindings []wireBinding `json:"bindings"`
		wireBinding
	}
	if r.Method == http.MethodPost {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	switch parts := strings.Split(r.URL.Path, "/"); {
	case parts[2] == "overview":
		reply(map[string]any{"rabbitmq_version": "4.0.5"})
	case parts[2] == "whoami":
		reply(map[string]any{"tags": []string{f.tags}})
	case parts[2] == "definitions":
		f.mu.Lock()
		f.imports++
		n := f.imports
		f.mu.Unlock()
		on := func() { f.add(parts[3], body.Bindings...) }
		if f.onImport != nil {
			f.onImport(w, r, n, on)
			return
		}
		on()
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPost: // /api/bindings/v/e/source/q/destination
		body.Source, body.Destination, body.DestinationType = parts[5], parts[7], "queue"
		f.add(parts[3], body.wireBinding)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		f.mu.Lock()
		defer f.mu.Unlock()
		out := []map[string]any{}
		for _, b := range f.bindings {
			out = append(out, map[string]any{
				"source": b.Source, "vhost": b.VirtualHost, "destination": b.Destination, "destination_type": b.DestinationType,
				"routing_key": b.RoutingKey, "arguments": map[string]any{}, "properties_key": b.RoutingKey,
			})
		}
		reply(out)
	}
}

func (f *importer) add(vh string, bindings ...wireBinding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range bindings {
		b.VirtualHost = vh
		if !slices.ContainsFunc(f.bindings, func(o wireBinding) bool { return o.binding().ID() == b.binding().ID() }) {
			f.bindings = append(f.bindings, b)
		}
	}
}

// asked counts requests, and forgets them.
func (f *importer) asked() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for _, r := range f.requests {
		out[r]++
	}
	f.requests = nil
	return out
}

func succeed(t *testing.T, outcomes []topology.Outcome) {
	t.Helper()
	for _, outcome := range outcomes {
		if outcome.Err != nil {
			t.Errorf("%s: %v", outcome.Step.ID, outcome.Err)
		}
	}
}

func TestImportsThatDoNotDo(t *testing.T) {
	status := func(code int, reason string) func(w http.ResponseWriter, r *http.Request, n int, on func()) {
		return func(w http.ResponseWriter, r *http.Request, _ int, _ func()) {
			answer(code, "application/json", `{"error":"x","reason":"`+reason+`"}`)(w, r)
		}
	}
	const n = 30
	for name, tc := range map[string]struct {
		reason         string
		tags           string
		onImport       func(w http.ResponseWriter, r *http.Request, n int, on func())
		imports, calls int
	}{
		"it does": {reason: "one import", tags: "administrator", imports: 1},
		"all is well, and nothing declared": {
			reason: "as a broker says that misses nodes of its cluster", tags: "administrator", imports: 1, calls: n,
			onImport: func(w http.ResponseWriter, _ *http.Request, _ int, _ func()) { w.WriteHeader(http.StatusNoContent) },
		},
		"refused": {
			reason: "each is tried alone, and then by a call", tags: "administrator", imports: 1 + n, calls: n,
			onImport: status(http.StatusBadRequest, "no"),
		},
		"refused together": {
			reason: "each is tried alone", tags: "administrator", imports: 1 + n,
			onImport: func(w http.ResponseWriter, r *http.Request, n int, on func()) {
				if n == 1 {
					answer(http.StatusBadRequest, "application/json", `{"error":"x","reason":"no"}`)(w, r)
					return
				}
				on()
				w.WriteHeader(http.StatusNoContent)
			},
		},
		"not admitted": {
			reason: "by a proxy, or since a moment ago: nobody tries again", tags: "administrator", imports: 1, calls: n,
			onImport: status(http.StatusForbidden, "definitions are not for you"),
		},
		"not answered": {
			reason: "the broker is there, and each is tried alone", tags: "administrator", imports: 1 + n,
			onImport: func(w http.ResponseWriter, r *http.Request, n int, on func()) {
				on()
				if n == 1 {
					answer(http.StatusInternalServerError, "text/plain", "boom")(w, r)
				}
			},
		},
		"no administrator": {reason: "who may not import", tags: "policymaker", calls: n},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &importer{tags: tc.tags, onImport: tc.onImport}
			b := serve(t, f.ServeHTTP)
			steps := bindingsTo("v", "events", n)
			succeed(t, b.Apply(t.Context(), steps))
			got := f.asked()
			if got["POST definitions"] != tc.imports || got["POST bindings"] != tc.calls {
				t.Errorf("%v, want %d imports and %d calls: %s", got, tc.imports, tc.calls, tc.reason)
			}
			snapshot := observe(t, b, topology.Selection{IDs: []topology.ID{steps[0].ID, steps[n-1].ID}})
			for _, id := range snapshot.Selection.IDs {
				if live, presence := snapshot.Look(id); presence != topology.Present || live.(*topology.Binding).Uncertain {
					t.Errorf("%s: %v, %+v", id, presence, live)
				}
			}
			if want := tc.tags == "administrator" && name != "not admitted"; snapshot.WholeBindings != want {
				t.Errorf("whole: %t, want %t", snapshot.WholeBindings, want)
			}
		})
	}
}

// An import that nobody answers fails for all that is in it, at once if the broker is
// down. What is listed after it is whole, and nothing is done about it; what is not
// listed may still come.
func TestUnansweredImport(t *testing.T) {
	var broken, down atomic.Bool
	f := &importer{tags: "administrator", onImport: func(w http.ResponseWriter, r *http.Request, _ int, on func()) {
		if broken.Load() {
			down.Store(true)
			reset(w, r)
			return
		}
		on()
		w.WriteHeader(http.StatusNoContent)
	}}
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() && r.Method != http.MethodPost {
			reset(w, r)
			return
		}
		f.ServeHTTP(w, r)
	})
	steps := bindingsTo("v", "events", 10)
	if !b.importsBindings(t.Context()) {
		t.Fatal("nothing is imported")
	}
	f.asked()
	broken.Store(true)
	for _, outcome := range b.Apply(t.Context(), steps) {
		wantError(t, outcome.Err, topology.ClassTransport, testPassword, outcome.Step.ID.String())
	}
	if got := f.asked(); got["POST definitions"] > 2 || got["POST bindings"] > 0 { // what a kept connection broke off is repeated
		t.Errorf("asked %v", got)
	}
	broken.Store(false)
	down.Store(false)
	f.add("v", wireBinding{Source: "events", Destination: "work", DestinationType: "queue", RoutingKey: "key.0"})

	snapshot := observe(t, b, topology.Selection{IDs: []topology.ID{steps[0].ID, steps[1].ID, steps[2].ID}})
	for i, uncertain := range []bool{false, true, true} {
		if live, _ := snapshot.Look(steps[i].ID); live == nil || live.(*topology.Binding).Uncertain != uncertain {
			t.Errorf("%s: %+v, want it uncertain: %t", steps[i].ID, live, uncertain)
		}
	}
	// Wanted still: it is declared, and not deleted even if it has come. Not wanted
	// any more: it is deleted once it is there for certain.
	f.add("v", wireBinding{Source: "events", Destination: "work", DestinationType: "queue", RoutingKey: "key.1"})
	f.asked()
	succeed(t, b.Apply(t.Context(), []topology.Step{
		{Verb: topology.VerbUpdate, ID: steps[1].ID, Want: steps[1].Want, Live: snapshot.Objects[steps[1].ID]},
	}))
	if got := f.asked(); got["DELETE bindings"] != 0 || got["POST definitions"] != 1 {
		t.Errorf("asked %v", got)
	}
	succeed(t, b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbDelete, ID: steps[2].ID, Live: snapshot.Objects[steps[2].ID]}}))
	if got := f.asked(); got["DELETE bindings"] != 1 || got["POST definitions"] != 1 || got["POST bindings"] != 0 {
		t.Errorf("asked %v", got)
	}
	for _, step := range steps[:3] {
		if _, uncertain := b.uncertain.of(step.ID); uncertain {
			t.Errorf("%s is uncertain still", step.ID)
		}
	}
}

// What was uncertain for another reason stays so after an import that nobody answers:
// it may have been there, and half made.
func TestImportDoesNotExcuseAnotherCall(t *testing.T) {
	var u uncertainties
	binding := bindingsTo("v", "events", 1)[0].Want.(*topology.Binding)
	failed := errors.New("connection reset")
	u.about(binding, failed)
	u.aboutImport(binding, failed)
	if found, ok := u.of(binding.ID()); !ok || found.imported {
		t.Errorf("%+v, %t", found, ok)
	}
	u.aboutImport(binding, nil)
	u.aboutImport(binding, failed)
	if found, ok := u.of(binding.ID()); !ok || !found.imported {
		t.Errorf("%+v, %t", found, ok)
	}
}

func TestImportIsPermittedLikeAnyWrite(t *testing.T) {
	f := &importer{tags: "administrator"}
	server := serve(t, f.ServeHTTP)
	b := open(t, Options{Endpoint: server.endpoint.String(), Username: "u", Password: "p", Permit: func(_ context.Context, destroys bool) (time.Time, error) {
		if destroys {
			t.Error("a declaration destroys nothing")
		}
		return time.Time{}, errors.New("another one leads")
	}})
	for _, outcome := range b.Apply(t.Context(), bindingsTo("v", "events", 10)) {
		wantError(t, outcome.Err, topology.ClassTransport, testPassword, "another one leads")
	}
	for request := range f.asked() {
		if strings.HasPrefix(request, "POST") {
			t.Errorf("%s was sent", request)
		}
	}
}

// The type of a source is known from whatever was seen of it last.
func TestTypeOfASource(t *testing.T) {
	id := topology.ExchangeID("v", "x")
	direct, topic := &topology.Exchange{VirtualHost: "v", Name: "x", Type: "direct"}, &topology.Exchange{VirtualHost: "v", Name: "x", Type: "topic"}
	var s insight
	for i, step := range []struct {
		do    func()
		whole bool
	}{
		{do: func() {}, whole: false},
		{do: func() { s.noteExchange(direct) }, whole: true},
		{do: func() { s.noteObserved(map[topology.ID]topology.Resource{id: topic}, false) }, whole: false},
		{do: func() { s.noteObserved(map[topology.ID]topology.Resource{id: direct}, true) }, whole: true},
		{do: func() { s.noteObserved(nil, false) }, whole: true},
		{do: func() { s.forget(id) }, whole: false},
		{do: func() { s.noteExchange(direct); s.noteObserved(nil, true) }, whole: false},
	} {
		if step.do(); s.whole(id) != step.whole {
			t.Errorf("step %d: %t, want %t", i, !step.whole, step.whole)
		}
	}
}

// More than a hundred are imported at a time only if all of them are bindings, and beside
// edits few, whatever they are.
func TestNextImport(t *testing.T) {
	queue, binding := topology.Step{ID: topology.QueueID("shop", "q")}, topology.Step{ID: topology.ID{Kind: topology.KindBinding, Scope: "shop", Name: "b"}}
	for name, c := range map[string]struct {
		reason string
		wave   []topology.Step
		edited time.Duration // ago; 0: never
		want   int
	}{
		"BesideEdits": {reason: "edits wait behind them", wave: slices.Repeat([]topology.Step{binding}, 600), edited: restAfterEditing - time.Second, want: mostBesideEdits},
		"EditedOnce":  {reason: "nobody edits any more", wave: slices.Repeat([]topology.Step{binding}, 600), edited: restAfterEditing, want: mostBindings},
		"Bindings":    {reason: "bindings take the broker little time", wave: slices.Repeat([]topology.Step{binding}, 600), want: mostBindings},
		"Queues":      {reason: "queues do not", wave: slices.Repeat([]topology.Step{queue}, 600), want: mostImported},
		"Led":         {reason: "nor do those behind a binding", wave: slices.Concat([]topology.Step{binding}, slices.Repeat([]topology.Step{queue}, 300)), want: mostImported},
		"AllAndLess":  {reason: "there are no more", wave: slices.Repeat([]topology.Step{queue}, 3), want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := &applying{broker: &Broker{}, wave: c.wave}
			if c.edited > 0 {
				edited := time.Now().Add(-c.edited)
				r.broker.edited.Store(&edited)
			}
			indices := make([]int, len(c.wave))
			for i := range indices {
				indices[i] = i
			}
			if batch, rest := r.next(indices); len(batch) != c.want || len(rest) != len(c.wave)-c.want {
				t.Errorf("%s: %d at once and %d left, want %d at once of %d", c.reason, len(batch), len(rest), c.want, len(c.wave))
			}
		})
	}
}

// What is rolled out gives way to an edit that is under way, and leaves the broker a rest after
// an import if there was one a moment ago.
func TestRollOutsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		courtesy := &topology.Courtesy{}
		r := &applying{broker: &Broker{options: Options{Concurrency: 1}}, wave: make([]topology.Step, 2), outcomes: make([]topology.Outcome, 2)}
		begins := func(ctx context.Context) (after time.Duration) {
			began := time.Now()
			r.each(ctx, []int{0}, func(int) error { after = time.Since(began); return nil })
			return after
		}
		rests := func(ctx context.Context) time.Duration {
			began := time.Now()
			r.rest(ctx, 200*time.Millisecond)
			return time.Since(began)
		}
		bulk := topology.InBulk(t.Context(), courtesy, nil)
		if got := rests(bulk); got != 0 {
			t.Errorf("it rests for %v, and nobody has edited anything", got)
		}
		time.AfterFunc(300*time.Millisecond, courtesy.Edit())
		if got := begins(t.Context()); got != 0 {
			t.Errorf("an edit begins after %v, want at once", got)
		}
		if got := begins(bulk); got != 300*time.Millisecond {
			t.Errorf("a roll-out begins after %v, want when the edit is done", got)
		}
		edited := time.Now()
		r.broker.edited.Store(&edited)
		if got := rests(bulk); got != 200*time.Millisecond {
			t.Errorf("it rests for %v, want as long as the import has taken", got)
		}
		if got := rests(topology.InBulk(t.Context(), courtesy, func() bool { return true })); got != 0 {
			t.Errorf("it rests for %v, and somebody waits for it", got)
		}
		began := time.Now()
		if r.rest(bulk, 10*time.Second); time.Since(began) != time.Second {
			t.Errorf("it rests for %v after an import that was not answered, want 1s", time.Since(began))
		}
		if got := rests(t.Context()); got != 0 {
			t.Errorf("an edit rests for %v, and somebody waits for it", got)
		}
	})
}
