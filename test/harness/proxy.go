package harness

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

type proxyMode int

const (
	forwarding proxyMode = iota
	swallowing
	refusing
)

// Proxy is a TCP proxy on loopback that stands for the network between a client and a broker.
type Proxy struct {
	addr string

	mu          sync.Mutex
	mode        proxyMode
	target      string
	listener    net.Listener
	connections map[net.Conn]struct{}
	closed      bool
	running     sync.WaitGroup
}

// NewProxy starts a proxy in front of target (host:port). It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, connections: map[net.Conn]struct{}{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("proxy: %v", err)
	}
	p.addr = listener.Addr().String()
	p.serve(listener)
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect to; it stays the same in every mode.
func (p *Proxy) Addr() string { return p.addr }

// SetTarget changes where new connections go.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Forward passes everything on, which is the mode to begin with. Connections that lost bytes are closed.
func (p *Proxy) Forward() { p.change(forwarding) }

// Blackhole accepts connections and swallows what is sent, on existing connections too: no answer and no error, as
// behind a firewall that drops packets.
func (p *Proxy) Blackhole() { p.change(swallowing) }

// Refuse closes all connections and refuses new ones, as a host without the broker does.
func (p *Proxy) Refuse() { p.change(refusing) }

// CloseConnections closes all connections; new ones are served according to the mode.
func (p *Proxy) CloseConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeConnections()
}

func (p *Proxy) closeConnections() {
	for connection := range p.connections {
		_ = connection.Close()
	}
	clear(p.connections)
}

func (p *Proxy) change(mode proxyMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.mode == mode {
		return
	}
	if p.mode == swallowing || mode == refusing {
		p.closeConnections()
	}
	p.mode = mode
	switch {
	case mode == refusing:
		_ = p.listener.Close()
		p.listener = nil
	case p.listener == nil:
		p.listenAgain()
	}
}

// listenAgain takes the port back. Another process can hold it for a moment as the source of a connection.
func (p *Proxy) listenAgain() {
	for range 100 {
		if listener, err := net.Listen("tcp", p.addr); err == nil {
			p.serve(listener)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	panic("proxy: somebody else took " + p.addr)
}

// serve accepts connections until the listener is closed. The lock is held, or nobody else knows the proxy yet.
func (p *Proxy) serve(listener net.Listener) {
	p.listener = listener
	p.running.Go(func() {
		for {
			connection, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			p.running.Go(func() { p.handle(connection) })
		}
	})
}

// track registers a connection, or closes it if the mode forbids it by now.
func (p *Proxy) track(connection net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.mode == refusing {
		_ = connection.Close()
		return false
	}
	p.connections[connection] = struct{}{}
	return true
}

func (p *Proxy) drop(connections ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, connection := range connections {
		_ = connection.Close()
		delete(p.connections, connection)
	}
}

func (p *Proxy) swallows() (target string, yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target, p.mode == swallowing
}

func (p *Proxy) handle(client net.Conn) {
	if !p.track(client) {
		return
	}
	defer p.drop(client)
	target, swallow := p.swallows()
	if swallow {
		p.pump(nil, client)
		return
	}
	broker, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil || !p.track(broker) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(broker, client); p.drop(client, broker) })
	both.Go(func() { p.pump(client, broker); p.drop(client, broker) })
	both.Wait()
}

// pump copies until either side closes; what arrives while the proxy swallows goes nowhere.
func (p *Proxy) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, swallow := p.swallows(); swallow || to == nil {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	if p.listener != nil {
		_ = p.listener.Close()
	}
	p.closeConnections()
	p.mu.Unlock()
	p.running.Wait()
}
