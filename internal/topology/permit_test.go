package topology

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestGrant(t *testing.T) {
	refusal := errors.New("another replica works on it")
	grants := func(until time.Time, err error) Permit {
		return func(context.Context, bool) (time.Time, error) { return until, err }
	}
	for name, test := range map[string]struct {
		permit      Permit
		least, most time.Duration
		err         error
	}{
		"without anybody to ask the deadline is the request's own": {nil, time.Minute, time.Minute, nil},
		"so it is when nobody minds":                               {grants(time.Time{}, nil), time.Minute, time.Minute, nil},
		"so it is when there is time":                              {grants(time.Now().Add(time.Hour), nil), time.Minute, time.Minute, nil},
		"what is left bounds it":                                   {grants(time.Now().Add(30*time.Second), nil), 20 * time.Second, 30 * time.Second, nil},
		"a refusal is passed on":                                   {grants(time.Time{}, refusal), 0, 0, refusal},
	} {
		got, err := test.permit.Grant(t.Context(), "delete", false, time.Minute)
		if got < test.least || got > test.most || !errors.Is(err, test.err) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if err != nil && ClassOf(err) != ClassTransport {
			t.Errorf("%s: the class is %s", name, ClassOf(err))
		}
	}
}
