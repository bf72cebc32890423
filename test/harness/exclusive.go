package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Exclusive keeps tests of all packages that change something of the whole cluster, such as the throttle of its brokers,
// from doing so at the same time. It ends with the test.
func (k *Kafka) Exclusive(t testing.TB, what string) {
	t.Helper()
	sum := sha256.Sum256([]byte(what + strings.Join(k.Bootstrap, ",")))
	file, err := os.OpenFile(filepath.Join(os.TempDir(), "warrener-"+hex.EncodeToString(sum[:8])+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatalf("lock %s: %v", what, err)
	}
	t.Cleanup(func() { _ = file.Close() }) // and with it the lock
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", what, err)
	}
}
