package harness

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func TestWire(t *testing.T) {
	w := NewWire(t, "127.0.0.1:0", echo(t))
	open := func() net.Conn {
		connection, err := net.DialTimeout("tcp", w.Addr(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close() })
		return connection
	}
	before := open()
	mustEcho(t, before)
	w.Poison(t, Toxic{Type: "timeout", Downstream: true})
	for name, connection := range map[string]net.Conn{"an old connection": before, "a new connection": open()} {
		if _, err := ask(connection, "hello"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v; want silence", name, err)
		}
	}
	w.Cure(t)
	if _, err := ask(before, "hello"); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that lost bytes: %v; want it closed", err)
	}
	mustEcho(t, open())
}
