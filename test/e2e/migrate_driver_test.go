package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// mortal decides which write of a migration is the last one of its process.
type mortal struct {
	mu sync.Mutex
	// die is asked before each write, with its number from 1 and what it is.
	die func(number int, request *http.Request) death
	// number of the writes so far.
	number int
	dead   bool
}

type death int

const (
	lives death = iota
	beforeIt
	afterIt  // the broker has done it, and nobody heard
	duringIt // the connection closes, and the broker ends what it does, if it still can
)

var errKilled = errors.New("the process was killed here")

// RoundTrip implements http.RoundTripper.
func (f *mortal) RoundTrip(request *http.Request) (*http.Response, error) {
	f.mu.Lock()
	if f.dead {
		f.mu.Unlock()
		return nil, errKilled
	}
	end := lives
	if request.Method != http.MethodGet {
		f.number++
		end = f.die(f.number, request)
	}
	f.dead = end != lives
	f.mu.Unlock()
	switch end {
	case beforeIt:
		return nil, errKilled
	case duringIt:
		most := 6000
		if strings.HasPrefix(request.URL.Path, "/api/definitions/") && rand.IntN(2) == 0 {
			most = 300_000 // an import takes longer
		}
		ctx, cut := context.WithTimeout(request.Context(), time.Duration(200+rand.IntN(most))*time.Microsecond)
		defer cut()
		request = request.WithContext(ctx)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if end != lives {
		if err == nil {
			_ = response.Body.Close()
		}
		return nil, errKilled
	}
	return response, err
}

// betweenDeleteAndDeclare kills when the queue is away.
func betweenDeleteAndDeclare(queue string) func(int, *http.Request) death {
	return func(_ int, request *http.Request) death {
		if request.Method == http.MethodDelete && strings.HasSuffix(request.URL.Path, "/"+queue) {
			return afterIt
		}
		return lives
	}
}

// migrating runs one migration to its end, in the place of the controller.
type migrating struct {
	broker *harness.RabbitMQ
	want   *topology.Queue
	// user and password; the broker's own if empty.
	user, password string
	// die, unless nil, kills the first process, and as many of the next ones.
	die  func(number int, request *http.Request) death
	next int
	// each, unless nil, sees every report.
	each func(topology.Progress)
}

// outcome tells how it went.
type outcome struct {
	took   time.Duration
	steps  []string
	killed bool
	// away is how long the queue was not there, as the writer saw it.
	away time.Duration
}

func (m migrating) run(t testing.TB, limit time.Duration) outcome {
	t.Helper()
	out, begin := outcome{}, time.Now()
	var deleted time.Time
	f := &mortal{die: m.die}
	if m.die == nil {
		f.die = func(int, *http.Request) death { return lives }
	}
	start := func() *rabbitmq.Broker {
		user, password := m.broker.User, m.broker.Password
		if m.user != "" {
			user, password = m.user, m.password
		}
		b, err := rabbitmq.New(rabbitmq.Options{
			Endpoint: m.broker.ManagementURL, Username: user, Password: password, Transport: f,
			OnRequest: func(_, operation string, status int, took time.Duration) {
				switch {
				case operation == "delete queue" && status == http.StatusNoContent:
					deleted = time.Now().Add(-took)
				case operation == "declare queue" && status == http.StatusCreated && !deleted.IsZero():
					out.away, deleted = time.Since(deleted), time.Time{}
				}
			},
		})
		must(t, err)
		return b
	}
	broker := start()
	op := topology.Operation{Kind: topology.OperationMigrate, Want: m.want}
	for time.Since(begin) < limit {
		progress, err := broker.Advance(t.Context(), op)
		if errors.Is(err, errKilled) {
			out.killed = true
			f = &mortal{die: f.die}
			if m.next--; m.next < 0 {
				f.die = func(int, *http.Request) death { return lives }
			}
			// What the broker had in hand when the process died comes to its end
			// before another one is at work: a controller takes longer to start.
			time.Sleep(2 * time.Second)
			broker = start()
			continue
		}
		if class := topology.ClassOf(err); err != nil && (class == topology.ClassTransport || class == topology.ClassTransient) {
			t.Logf("tried again: %v", err) // as the engine does: a broker under load answers late
			time.Sleep(time.Second)
			continue
		}
		must(t, err)
		if len(out.steps) == 0 || out.steps[len(out.steps)-1] != progress.Step {
			out.steps = append(out.steps, progress.Step)
		}
		if m.each != nil {
			m.each(progress)
		}
		if progress.Done {
			out.took = time.Since(begin)
			return out
		}
		time.Sleep(progress.After)
	}
	progress, err := broker.Advance(t.Context(), op)
	t.Fatalf("migration of %s: not within %s; last: %+v, %v", m.want.ID(), limit, progress, err)
	return out
}
