// One JSON line for each thing that happens: for a log collector, and for story.js.

export function log(event, fields = {}) {
  console.log(JSON.stringify({ time: new Date().toISOString(), event, ...fields }))
}

// fail ends the process: Kubernetes starts it again. For what no reconnect cures.
export function fail(what, error) {
  log('failed', { what, error: error?.message ?? String(error) })
  process.exit(1)
}

// onStop runs stop once, when Kubernetes (or Ctrl-C) asks the process to end, and ends it.
export function onStop(stop) {
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, async () => {
      if (stopping) return
      stopping = true
      try {
        await stop()
        log('stopped', { signal })
        process.exit(0)
      } catch (error) {
        fail('stop', error)
      }
    })
  }
}
