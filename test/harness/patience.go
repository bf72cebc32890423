package harness

import "time"

// Patience is how long a test waits for what has to happen, whatever else the
// machine does meanwhile. It tells a thing that never comes from one that comes late,
// and is no measure of speed: benchmarks are.
const Patience = 4 * time.Minute
