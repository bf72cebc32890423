// Tale prints what happens, for people or as JSON lines, and counts the checks.
export class Tale {
  #begin = Date.now()
  #checks = 0
  #failed = 0

  constructor(json) {
    this.json = json
  }

  chapter(title) {
    if (!this.json) console.log(`\n${title}\n`)
  }

  // teller shows the lines of a service.
  teller(service) {
    return (line) => {
      if (this.json) console.log(JSON.stringify({ service, ...line }))
      else if (told[line.event]) console.log(`  ${this.#clock(line.time)}  ${service.padEnd(16)} ${told[line.event](line)}`)
    }
  }

  check(ok, what) {
    this.#checks++
    if (!ok) this.#failed++
    console.log(this.json ? JSON.stringify({ event: 'check', ok, what }) : `  ${ok ? 'ok ' : 'BAD'}  ${what}`)
  }

  verdict() {
    if (!this.json) {
      console.log(this.#failed ? `\n${this.#failed} of ${this.#checks} checks FAILED: the lines that begin with BAD.` : `\nAll ${this.#checks} checks passed.`)
    }
    return this.#failed === 0
  }

  #clock(time) {
    return `${((Date.parse(time) - this.#begin) / 1000).toFixed(3).padStart(7)} s`
  }
}

const told = {
  asserted: (l) => `asserts ${l.objects.length} objects of ${l.queue ?? l.topic}: the broker has them exactly like this`,
  sent: (l) => `sends ${l.id} to ${l.key ? `${l.exchange} under ${l.key}` : `${l.topic}, partition ${l.partition}`}`,
  handled: (l) => `handles ${l.id}, attempt ${l.attempt}`,
  rejected: (l) => `rejects ${l.id}, attempt ${l.attempt}`,
  published: (l) => `cannot handle ${l.id}, attempt ${l.attempt}: copies it to ${l.to}`,
  dead: (l) => (l.why ? `finds ${l.id} in ${l.queue}: ${l.why}` : `gives up ${l.id}, attempt ${l.attempt}: copies it to ${l.to}`),
  joined: (l) => `${l.member} joined, generation ${l.generation}: reads partitions ${l.partitions.join(', ')}`,
  rebalance: (l) => `${l.member} is asked to join anew: a rebalance`,
  replayed: (l) => `reads ${l.key} again: partition ${l.partition}, offset ${l.offset}, written ${l.written}`,
  disconnected: (l) => `lost its connection: ${l.error}`,
  failed: (l) => `FAILED: ${l.what}: ${l.error}`,
}
